package dev.pocketencoder

import android.graphics.Bitmap
import android.graphics.Color
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.io.File
import java.nio.ByteBuffer
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import kotlin.math.abs

@RunWith(RobolectricTestRunner::class)
class RegionsTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val orange = Bitmap.createBitmap(540, 1170, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.rgb(200, 120, 30)) }
    private val black = Bitmap.createBitmap(1170, 540, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.BLACK) }

    /** The bundle's model, and masks beside it: those of region r are r + the first red byte of the image / 255. */
    private class MaskedEngine(private val engine: Engine, private val masks: TensorSpec) : Engine by engine {
        override val signatures = engine.signatures.mapValues { (name, spec) ->
            if (name == "vision") spec.copy(outputs = spec.outputs + (EncoderBundle.REGION_MASKS to masks)) else spec
        }

        override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) {
            engine.run(signature, inputs, outputs)
            val values = outputs[EncoderBundle.REGION_MASKS]?.apply { clear() }?.asFloatBuffer() ?: return
            val red = (inputs.getValue("image").get(0).toInt() and 0xFF) / 255f
            for (index in 0 until values.capacity()) values.put(index, index / (HEIGHT * WIDTH) + red)
        }
    }

    private fun withMasks(vararg shape: Int): File = Fixtures.changed(temporary.newFolder()) { manifest ->
        val entry = JSONObject().put("dtype", "float32").put("shape", JSONArray(shape.toList()))
        manifest.getJSONObject("tensors").put(EncoderBundle.REGION_MASKS, entry)
    }

    private fun openMasked(): ScreenEncoder {
        val masks = TensorSpec(ElementType.FLOAT32, listOf(1, 4, HEIGHT, WIDTH))
        return ScreenEncoder.open(FolderSource(withMasks(1, 4, HEIGHT, WIDTH))) { MaskedEngine(LiteRtEngine(it), masks) }
    }

    @Test
    fun everyParityScreenHasTheRegionsThatPythonFinds() = Fixtures.open().use { encoder ->
        val expected = Fixtures.lines("regions.jsonl")
        val refusal = expected.first().optString("refused")
        if (refusal.isNotEmpty()) {
            val error = assertThrows(RegionsException::class.java) { encoder.regions(orange).await() }
            assertEquals("${Fixtures.bundle}$refusal", error.message)
            assertThrows(NoScreenException::class.java) { encoder.onText("x").await() } // it was not looked at
            return@use
        }
        var largest = 0f
        for (line in expected) {
            val found = encoder.regions(Fixtures.bitmap(line.getString("image"))).await()
            val masks = line.getJSONObject("masks")
            assertEquals(masks.keys().asSequence().toSet(), found.keys)
            for ((name, mask) in found) {
                assertEquals(line.getJSONArray("shape").ints(), listOf(mask.height, mask.width))
                val wanted = masks.getJSONArray(name).floats()
                assertEquals(wanted.size, mask.values.size)
                largest = maxOf(largest, wanted.indices.maxOf { abs(wanted[it] - mask.values[it]) })
            }
        }
        val compared = expected.size * EncoderBundle.REGIONS.size
        val (result, passed) = "within %.1e".format(largest) to (largest < 1e-5)
        Fixtures.reportParity("regions", "masks of the regions of the parity screens", compared, result, passed)
        assertEquals(32, expected.size)
        assertTrue("masks differ by $largest", passed)
    }

    @Test
    fun masksComeByTheirNamesInTheModelsOrder() = openMasked().use { encoder ->
        for ((screen, red) in listOf(orange to 200 / 255f, black to 0f)) {
            val found = encoder.regions(screen).await()
            assertEquals(listOf("title", "input", "keyboard", "status"), found.keys.toList())
            found.values.forEachIndexed { region, mask ->
                assertEquals(HEIGHT to WIDTH, mask.height to mask.width)
                assertArrayEquals(FloatArray(HEIGHT * WIDTH) { region + red }, mask.values, 0f)
            }
        }
    }

    @Test
    fun aScreenWhoseRegionsWereFoundIsKeptAndEncodesAsBefore() = openMasked().use { encoder ->
        val expected = Fixtures.open().use { plain -> plain.encode(orange, "see").await() }
        val first = encoder.regions(orange).await()
        assertArrayEquals(expected, encoder.onText("see").await(), 0f)
        assertArrayEquals(expected, encoder.encode(orange, "see").await(), 0f)
        encoder.encode(black, "see").await()
        assertArrayEquals(FloatArray(HEIGHT * WIDTH) { 200 / 255f }, first.getValue("title").values, 0f) // a copy
    }

    @Test
    fun whereItFailsOrIsCancelledTheLastScreenStays() = openMasked().use { encoder ->
        encoder.regions(orange).await()
        val before = encoder.onText("see").await()
        val recycled = Bitmap.createBitmap(4, 4, Bitmap.Config.ARGB_8888).apply { recycle() }
        assertThrows(ImageException::class.java) { encoder.regions(recycled).await() }
        lateinit var pending: Pending<Map<String, RegionMask>>
        val begun = CountDownLatch(1)
        encoder.timing = TimingListener { stage, _ -> if (stage == Stage.PREPROCESS) begun.await().also { pending.cancel() } }
        pending = encoder.regions(black)
        begun.countDown()
        assertThrows(CancellationException::class.java) { pending.await() }
        encoder.timing = null
        assertArrayEquals(before, encoder.onText("see").await(), 0f)
        assertNotEquals(before.toList(), encoder.encode(black, "see").await().toList())
    }

    @Test
    fun aModelThatDoesNotGiveWhatTheManifestSaysIsRefused() {
        val finds = EncoderBundle.open(FolderSource(Fixtures.bundle)).hasMasks
        val folder = if (finds) {
            Fixtures.changed(temporary.newFolder()) { it.getJSONObject("tensors").remove(EncoderBundle.REGION_MASKS) }
        } else {
            withMasks(1, 4, HEIGHT, WIDTH)
        }
        val wanted = if (finds) "(image) -> (screen_tokens)" else "(image) -> (screen_tokens, region_masks)"
        val message = assertThrows(EngineException::class.java) { Fixtures.open(folder) }.message!!
        assertEquals("$folder: the model's signature vision must be $wanted; export the bundle again", message)
    }

    @Test
    fun masksOfOtherShapesAreRefused() {
        val masks = TensorSpec(ElementType.FLOAT32, listOf(1, 4, WIDTH, HEIGHT))
        val turned = assertThrows(EngineException::class.java) {
            ScreenEncoder.open(FolderSource(withMasks(1, 4, HEIGHT, WIDTH))) { MaskedEngine(LiteRtEngine(it), masks) }
        }
        assertTrue(turned.message!!.contains("vision has region_masks $masks, the manifest says float32 [1, 4, $HEIGHT, $WIDTH]"))
        for (shape in listOf(intArrayOf(1, 3, 32, 16), intArrayOf(2, 4, 32, 16), intArrayOf(1, 4, 32), intArrayOf(1, 4, 0, 16))) {
            val message = assertThrows(BundleException::class.java) { Fixtures.open(withMasks(*shape)) }.message!!
            assertTrue(message, message.contains("manifest.json: tensor region_masks ") && message.endsWith("export the bundle again"))
        }
    }

    private companion object {
        const val HEIGHT = 32
        const val WIDTH = 16
    }
}
