package dev.pocketencoder

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.ColorSpace
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.annotation.RealObject
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowNativeBitmap
import org.robolectric.util.ReflectionHelpers.ClassParameter
import java.io.File
import java.nio.ByteBuffer
import java.util.Base64
import kotlin.math.abs

@RunWith(RobolectricTestRunner::class)
class PreprocessTest {
    private val preprocess = Preprocess(HEIGHT, WIDTH)
    private val out = Fixtures.direct(HEIGHT * WIDTH * 3)

    private fun bytes(bitmap: Bitmap, height: Int = HEIGHT, width: Int = WIDTH): ByteArray {
        val buffer = ByteBuffer.allocate(height * width * 3)
        Preprocess(height, width).resize(bitmap, buffer)
        return buffer.array()
    }

    @Test
    fun everyScreenAndOddPictureIsByteForByteWhatPythonMakesOfIt() {
        val expected = Fixtures.lines("images.jsonl")
        val differing = expected.filterNot { line ->
            val bitmap = Fixtures.bitmap(line.getString("image"))
            preprocess.resize(bitmap, out)
            bitmap.recycle()
            Fixtures.sha256(out) == line.getString("sha256")
        }
        val screens = expected.count { it.getString("group") == "parity" }
        Fixtures.reportParity(
            "images", "preprocessed screens ($screens of the parity split) and odd sizes, with and without alpha", expected.size,
            "${expected.size - differing.size} byte for byte", differing.isEmpty(),
        )
        assertEquals(32, screens)
        assertEquals(emptyList<String>(), differing.map { it.getString("image") })
    }

    @Test
    fun filesInOtherColoursAreReadAsPythonReadsThem() {
        val apart = Fixtures.lines("profiles.jsonl").associate { line ->
            val file = line.getString("image")
            val expected = Base64.getDecoder().decode(line.getString("pixels"))
            // As BitmapFactory gives it, in the file's own colours; as the app asks for it; and in 16 bits.
            val kept = Fixtures.bitmap(file)
            val asked = Fixtures.bitmap(file) { inPreferredColorSpace = ColorSpace.get(ColorSpace.Named.SRGB) }
            val deep = Fixtures.bitmap(file) { inPreferredConfig = Bitmap.Config.RGBA_F16 }
            File(file).name to listOf(kept, asked, deep).map { bitmap -> furthest(bytes(bitmap), expected) }
        }
        val far = apart.filter { (name, levels) -> levels[0] > (if ("alpha" in name) KEPT_ALPHA else 1) || levels.drop(1).max() > 1 }
        Fixtures.reportParity(
            "profiles", "preprocessed files with and without P3's profile, each in three kinds of bitmap", 3 * apart.size,
            "at most ${apart.values.flatten().max()} of 255 apart", far.isEmpty(),
        )
        assertTrue("$apart", far.isEmpty())
    }

    @Test
    fun bitmapsInDisplayP3AreReadInSrgb() {
        val p3 = ColorSpace.get(ColorSpace.Named.DISPLAY_P3)
        for (config in listOf(Bitmap.Config.ARGB_8888, Bitmap.Config.RGBA_F16)) {
            val bitmap = Bitmap.createBitmap(8, 8, config, true, p3)
            Canvas(bitmap).drawColor(Color.pack(0.8f, 0.4f, 0.3f, 1f, p3))
            val found = bytes(bitmap, 1, 1).map { it.toInt() and 0xFF }
            val expected = Color.convert(0.8f, 0.4f, 0.3f, 1f, p3, ColorSpace.get(ColorSpace.Named.SRGB))
            val apart = listOf(Color.red(expected), Color.green(expected), Color.blue(expected)).zip(found) { a, b -> abs(255 * a - b) }
            assertTrue("$config $found", apart.max() <= 1f)
            assertTrue("$config $found is not converted", found[0] > 204)
        }
    }

    private fun furthest(a: ByteArray, b: ByteArray) = a.indices.maxOf { abs((a[it].toInt() and 0xFF) - (b[it].toInt() and 0xFF)) }

    @Test
    fun transparentPixelsAreLaidOverBlackWhateverTheirAlpha() {
        val bitmap = Bitmap.createBitmap(256, 256, Bitmap.Config.ARGB_8888).apply { isPremultiplied = false }
        for (alpha in 0..255) for (colour in 0..255) bitmap.setPixel(colour, alpha, Color.argb(alpha, colour, 255 - colour, 77))
        val found = bytes(bitmap, 256, 256)
        for (alpha in 0..255) for (colour in 0..255) {
            val place = 3 * (alpha * 256 + colour)
            val expected = listOf(colour, 255 - colour, 77).map { (it * alpha + 127) / 255 }
            assertEquals(expected, List(3) { found[place + it].toInt() and 0xFF })
        }
    }

    @Test
    fun premultipliedStorageGivesTheSame() {
        val straight = Bitmap.createBitmap(64, 64, Bitmap.Config.ARGB_8888).apply { isPremultiplied = false }
        for (y in 0 until 64) for (x in 0 until 64) straight.setPixel(x, y, Color.argb(4 * y + 3, 4 * x, 255 - 4 * x, x * y % 256))
        val stored = Bitmap.createBitmap(64, 64, Bitmap.Config.ARGB_8888)
        for (y in 0 until 64) for (x in 0 until 64) stored.setPixel(x, y, Color.argb(4 * y + 3, 4 * x, 255 - 4 * x, x * y % 256))
        assertArrayEquals(bytes(straight, 64, 64), bytes(stored, 64, 64))
    }

    @Test
    fun everyConfigurationIsReadAsItsPixelsLook() {
        val original = Fixtures.bitmap(Fixtures.lines("images.jsonl").first().getString("image"))
        for (config in listOf(Bitmap.Config.RGB_565, Bitmap.Config.RGBA_F16)) {
            val other = original.copy(config, false)
            assertArrayEquals("$config", bytes(other.copy(Bitmap.Config.ARGB_8888, false)), bytes(other))
        }
        assertArrayEquals(bytes(original), bytes(original.copy(Bitmap.Config.RGBA_F16, false)))
        val coarse = bytes(original.copy(Bitmap.Config.RGB_565, false))
        val mean = bytes(original).zip(coarse) { a, b -> (a.toInt() and 0xFF) - (b.toInt() and 0xFF) }.average()
        assertTrue("565 is off by $mean on average", mean in -1.0..1.0)
    }

    @Test
    @Config(shadows = [HardwareBitmap::class])
    fun hardwareBitmapsAreReadThroughACopy() {
        val bitmap = Fixtures.bitmap(Fixtures.lines("images.jsonl").first().getString("image"))
        val expected = bytes(bitmap)
        HardwareBitmap.inGraphicsMemory = bitmap
        assertThrows(IllegalStateException::class.java) { bitmap.getPixels(IntArray(1), 0, 1, 0, 0, 1, 1) }
        assertArrayEquals(expected, bytes(bitmap))
        assertFalse(bitmap.isRecycled)
    }

    /** There are no hardware bitmaps here: one bitmap behaves as Android documents them. */
    @Implements(Bitmap::class)
    class HardwareBitmap : ShadowNativeBitmap() {
        @RealObject
        private lateinit var self: Bitmap

        @Implementation
        fun getConfig(): Bitmap.Config? = when {
            self === inGraphicsMemory -> Bitmap.Config.HARDWARE
            else -> Shadow.directlyOn<Bitmap.Config, Bitmap>(self, Bitmap::class.java, "getConfig")
        }

        @Implementation
        fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
            check(self !== inGraphicsMemory) { "pixel access is not supported on hardware bitmaps" }
            val numbers = listOf(offset, stride, x, y, width, height).map { ClassParameter.from(Int::class.javaPrimitiveType, it) }
            val arguments = listOf(ClassParameter.from(IntArray::class.java, pixels)) + numbers
            Shadow.directlyOn<Any?, Bitmap>(self, Bitmap::class.java, "getPixels", *arguments.toTypedArray())
        }

        companion object {
            var inGraphicsMemory: Bitmap? = null
        }
    }

    @Test
    fun recycledAndTooLargeBitmapsAreRefused() {
        val recycled = Bitmap.createBitmap(4, 4, Bitmap.Config.ARGB_8888).apply { recycle() }
        assertTrue(assertThrows(ImageException::class.java) { preprocess.resize(recycled, out) }.message!!.contains("recycled"))
        val large = Bitmap.createBitmap(8001, 8000, Bitmap.Config.ALPHA_8)
        assertTrue(assertThrows(ImageException::class.java) { preprocess.resize(large, out) }.message!!.contains("scale it down"))
        large.recycle()
    }

    @Test
    fun stoppingLeavesTheRestUndone() {
        var asked = 0
        assertFalse(preprocess.resize(Bitmap.createBitmap(1080, 2340, Bitmap.Config.ARGB_8888), out) { ++asked > 3 })
        assertEquals(4, asked)
    }

    private companion object {
        const val HEIGHT = 256
        const val WIDTH = 128
        const val KEPT_ALPHA = 3 // levels: Android keeps colours times alpha in 8 bits, and converts what is left of them
    }
}
