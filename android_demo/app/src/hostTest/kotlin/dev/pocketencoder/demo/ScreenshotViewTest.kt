package dev.pocketencoder.demo

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.RectF
import dev.pocketencoder.RegionMask
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
@Config(qualifiers = "mdpi")
class ScreenshotViewTest {
    private val white = Bitmap.createBitmap(WIDTH, HEIGHT, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.WHITE) }

    /** A mask of 4 rows of 2 cells. */
    private fun mask(vararg values: Double) = RegionMask(4, 2, FloatArray(values.size) { values[it].toFloat() })

    private fun drawn(masks: Map<String, RegionMask>?): Bitmap {
        val view = ScreenshotView(RuntimeEnvironment.getApplication(), null).apply { show(white, "chat", masks) }
        view.layout(0, 0, WIDTH, HEIGHT)
        return Bitmap.createBitmap(WIDTH, HEIGHT, Bitmap.Config.ARGB_8888).also { view.draw(Canvas(it)) }
    }

    /** The rows in which the middle column has a region's colour. */
    private fun Bitmap.rows(region: ScreenshotView.Region) = (0 until HEIGHT).filter { getPixel(WIDTH * 3 / 4, it) == region.color }

    @Test
    fun aMasksBoxHoldsTheCellsThatAreMostlyInside() {
        assertEquals(RectF(0.5f, 0.25f, 1f, 0.75f), mask(0.0, 0.4, 0.0, 0.9, 0.0, 0.5, 0.0, 0.0).box())
        assertEquals(RectF(0f, 0f, 1f, 1f), mask(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0).box())
        assertNull(mask(*DoubleArray(8) { 0.49 }).box())
    }

    @Test
    fun regionsThatWereFoundAreDrawnWhereTheyAre() {
        val keyboard = ScreenshotView.Region.KEYBOARD
        val top = drawn(mapOf("keyboard" to mask(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))).rows(keyboard)
        assertTrue(top.isNotEmpty() && top.max() < HEIGHT / 4)
        val fixed = drawn(null).rows(keyboard)
        assertTrue(fixed.isNotEmpty() && fixed.min() >= HEIGHT / 2)
    }

    @Test
    fun beforeRegionsAreFoundNoneIsDrawn() {
        for (region in ScreenshotView.Region.values()) assertEquals(emptyList<Int>(), drawn(emptyMap()).rows(region))
    }

    private companion object {
        const val WIDTH = 200
        const val HEIGHT = 400
    }
}
