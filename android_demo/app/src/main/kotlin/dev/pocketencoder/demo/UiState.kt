package dev.pocketencoder.demo

import android.graphics.Bitmap
import dev.pocketencoder.Ranked
import dev.pocketencoder.RegionMask
import dev.pocketencoder.check.LatencyRow
import dev.pocketencoder.check.PhoneReport

/** How far "Check this phone" is. */
sealed class CheckState {
    /** It was not asked for, or stopped. */
    object Idle : CheckState()

    /** @property percent done. */
    data class Running(val percent: Int) : CheckState()

    /** @property report what was found. */
    data class Done(val report: PhoneReport) : CheckState()

    /** @property message why it could not be done. */
    data class Failed(val message: String) : CheckState()
}

/** What is wrong, and whether opening again may help. */
data class Problem(val message: String, val canRetry: Boolean)

/**
 * All that the app shows.
 *
 * @property ready whether the encoder is open.
 * @property thumbnails samples by id.
 * @property selected id of the sample on show; null = the user's own screenshot.
 * @property masks regions that the model found on the screenshot, by name, none yet at first; null = its regions are fixed.
 * @property text what is typed.
 * @property ranked candidates, best first.
 * @property embedding of screen, text and user, [256].
 * @property privateBytes memory that the encoder added; null where it was not measured.
 */
data class UiState(
    val ready: Boolean = false,
    val samples: List<Sample> = emptyList(),
    val thumbnails: Map<String, Bitmap> = emptyMap(),
    val selected: String? = null,
    val title: String = "",
    val screenshot: Bitmap? = null,
    val masks: Map<String, RegionMask>? = null,
    val text: String = "",
    val ranked: List<Ranked> = emptyList(),
    val embedding: FloatArray? = null,
    val screen: LatencyRow? = null,
    val keystroke: LatencyRow? = null,
    val latencyLimitMs: Double = 0.0,
    val privateBytes: Long? = null,
    val memoryLimitBytes: Long = 0,
    val problem: Problem? = null,
    val check: CheckState = CheckState.Idle,
)
