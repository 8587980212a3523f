package dev.pocketencoder

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Color
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** What docs/android.md shows, as an app would have it. */
// doc:embed
class SmartKeyboard(context: Context, preset: String = "balanced") {
    private var encoder: ScreenEncoder? = null
    private var typing: Pending<List<Ranked>>? = null

    init {
        ScreenEncoder.openAsync { ScreenEncoder.open(context, preset) }.onDone { result ->
            result.onSuccess { encoder = it }.onFailure { problem -> report(problem) }
        }
    }

    fun onScreenChanged(screenshot: Bitmap) {
        encoder?.onScreen(screenshot)?.onDone { result -> result.onFailure { problem -> report(problem) } }
    }

    fun onTyped(text: String, replies: List<String>) {
        typing?.cancel() // only the latest keystroke counts
        typing = encoder?.rank(text, replies)?.onDone { result ->
            result.onSuccess { ranked -> show(ranked.take(3)) }.onFailure { problem -> report(problem) }
        }
    }

    fun onDestroy() {
        encoder?.close()
    }
    // doc:end

    var shown: List<Ranked> = emptyList()
    var problem: Throwable? = null
    val ready get() = encoder != null

    private fun show(best: List<Ranked>) {
        shown = best
    }

    private fun report(problem: Throwable) {
        this.problem = problem
    }
}

@RunWith(RobolectricTestRunner::class)
class EmbedTest {
    private val onDevice = ScreenEncoder.deviceEngine

    @Before
    fun runOnThisMachine() {
        ScreenEncoder.deviceEngine = { model, _ -> LiteRtEngine(model) }
    }

    @After
    fun restore() {
        ScreenEncoder.deviceEngine = onDevice
    }

    @Test
    fun theDocumentedClassWorksOnTheAppsAssets() {
        val keyboard = SmartKeyboard(RuntimeEnvironment.getApplication(), Fixtures.bundle.name)
        Fixtures.waitUntil("opening") { keyboard.ready || keyboard.problem != null }
        assertNull(keyboard.problem)
        keyboard.onScreenChanged(Bitmap.createBitmap(1080, 2340, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.WHITE) })
        val replies = listOf("see you at six", "go to the checkout", "call this person", "turn on dark mode")
        for (text in listOf("s", "se", "see")) keyboard.onTyped(text, replies)
        Fixtures.waitUntil("ranking") { keyboard.shown.isNotEmpty() }
        assertEquals(3, keyboard.shown.size)
        assertTrue(keyboard.shown.zipWithNext().all { (better, worse) -> better.score >= worse.score })
        keyboard.onDestroy()
        assertNull(keyboard.problem)
    }

    @Test
    fun aFolderThatIsNotInTheAssetsIsToldByItsName() {
        val message = runCatching { ScreenEncoder.open(RuntimeEnvironment.getApplication(), "nowhere") }.exceptionOrNull()!!.message!!
        assertEquals("assets/nowhere/manifest.json: the bundle's file is missing; copy it from dist/PRESET", message)
    }
}
