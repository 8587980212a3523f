package dev.pocketencoder

import dev.pocketencoder.check.Golden
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.io.File
import java.io.IOException
import kotlin.random.Random

@RunWith(RobolectricTestRunner::class)
class BundleTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun copied(): File = temporary.newFolder().also { Fixtures.bundle.copyRecursively(it, overwrite = true) }

    private fun withManifest(change: (JSONObject) -> Unit): File = Fixtures.changed(temporary.newFolder(), change)

    /** The files of the bundle's tokenizer, and its model. */
    private fun opened(): List<String> {
        val bundle = EncoderBundle.open(FolderSource(Fixtures.bundle))
        val tokenizer = bundle.manifest.getJSONObject("tokenizer")
        return Tokenizer.FILES.getValue(tokenizer.getString("type")).map(tokenizer::getString) + bundle.model()
    }

    private fun refused(folder: File): String = assertThrows(BundleException::class.java) { Fixtures.open(folder) }.message!!

    @Test
    fun missingFilesAreNamed() {
        for (name in opened() + "manifest.json") {
            val folder = copied().also { File(it, name).delete() }
            assertTrue(refused(folder).contains("$folder/$name: the bundle's file is missing"))
        }
    }

    @Test
    fun alteredFilesAreRefused() {
        for (name in opened()) {
            val folder = copied().also { File(it, name).appendText("x") }
            assertTrue(refused(folder).contains("$name: altered since its export"))
        }
    }

    @Test
    fun anotherSchemaIsRefused() {
        assertTrue(refused(withManifest { it.put("schema_version", 1) }).contains("schema_version 1 is unknown, this library reads 4"))
        assertTrue(refused(withManifest { it.put("schema_version", "4") }).contains("schema_version 4 is unknown"))
        assertTrue(refused(withManifest { it.remove("schema_version") }).contains("schema_version null is unknown"))
    }

    @Test
    fun manifestsThatAreNoneAreRefused() {
        for (text in listOf("", "[]", "{", "null", "{\"schema_version\": 1}", "[".repeat(100_000))) {
            val folder = copied().also { File(it, "manifest.json").writeText(text) }
            assertTrue(text.take(20), refused(folder).contains("manifest.json"))
        }
    }

    /** Reads a manifest alone; nothing else of a bundle is there. */
    private class Manifest(private val bytes: ByteArray) : BundleSource {
        override val name = "bundle"

        override fun open(file: String) = bytes.inputStream()

        override fun map(file: String) = throw IOException("there is only a manifest")
    }

    @Test
    fun anyFlippedBitOfAManifestIsNoticed() {
        val whole = File(Fixtures.bundle, "manifest.json").readBytes()
        EncoderBundle.open(Manifest(whole))
        val random = Random(0)
        val bits = (0 until 8 * 120) + List(500) { random.nextInt(8 * whole.size) } // all of its digest
        for (bit in bits) {
            val flipped = whole.copyOf().also { it[bit / 8] = (it[bit / 8].toInt() xor (1 shl bit % 8)).toByte() }
            assertThrows("bit $bit", BundleException::class.java) { EncoderBundle.open(Manifest(flipped)) }
        }
    }

    @Test
    fun aManifestThatAnotherToolWroteIsRefused() {
        val folder = copied()
        val file = File(folder, "manifest.json").apply { writeText(JSONObject(readText()).toString()) }
        assertTrue(refused(folder).contains("${file.name}: altered since its export: it is not what its manifest_sha256"))
    }

    @Test
    fun otherPreprocessingIsRefused() {
        val method = withManifest { it.getJSONObject("preprocessing").getJSONObject("image").put("method", "bilinear") }
        assertTrue(refused(method).contains("preprocessing method must be area_integer, not bilinear"))
        fun tokenizer(vararg values: Pair<String, Any>) =
            withManifest { it.put("tokenizer", JSONObject(mapOf("max_length" to 64, "truncation" to "left", *values))) }
        val cased = tokenizer("type" to "wordpiece", "vocab" to "vocab.txt", "lowercase" to false)
        assertTrue(refused(cased).contains("tokenizer lowercase must be true, not false"))
        val unknown = tokenizer("type" to "unigram", "vocab" to "vocab.txt")
        assertTrue(refused(unknown).contains("tokenizer type must be wordpiece or byte_bpe, not unigram"))
        val short = tokenizer("type" to "byte_bpe", "vocab" to "vocab.json", "merges" to "merges.txt", "max_length" to 32)
        assertTrue(refused(short).contains("tokenizer max_length must be 64, not 32"))
        val middle = tokenizer("type" to "wordpiece", "vocab" to "vocab.txt", "lowercase" to true, "truncation" to "middle")
        assertTrue(refused(middle).contains("tokenizer truncation must be left or right, not middle"))
        val incomplete = tokenizer("type" to "byte_bpe", "vocab" to "vocab.json")
        assertTrue(refused(incomplete).contains("manifest.json: not a manifest: No value for merges; export the bundle again"))
        val size = withManifest { it.getJSONObject("preprocessing").getJSONObject("image").put("size", JSONArray(listOf(1, 2))) }
        assertTrue(refused(size).contains("preprocessing size must be [256,128]"))
        fun user(key: String, value: Any?) = withManifest { it.getJSONObject("preprocessing").getJSONObject("user").put(key, value) }
        assertTrue(refused(user("method", "clip")).contains("preprocessing user must be bound_norm, not clip"))
        for (norm in listOf(0, -1, "1.22", JSONObject.NULL, true)) {
            assertTrue(refused(user("max_norm", norm)).contains("preprocessing max_norm must be a finite number above 0, not $norm"))
        }
        val none = withManifest { it.getJSONObject("preprocessing").remove("user") }
        assertTrue(refused(none).contains("No value for user; export the bundle again"))
    }

    @Test
    fun aModelOfOtherShapesThanTheManifestIsRefused() {
        val folder = withManifest { it.getJSONObject("tensors").getJSONObject("user").put("shape", JSONArray(listOf(1, 32))) }
        val message = assertThrows(EngineException::class.java) { Fixtures.open(folder) }.message!!
        assertTrue(message, message.contains("fuse has user float32 [1, 64], the manifest says float32 [1, 32]"))
    }

    @Test
    fun aManifestWithoutATfliteModelIsRefused() {
        val folder = withManifest { it.getJSONObject("files").remove("encoder.tflite") }
        assertTrue(refused(folder).contains("lists no tflite int8 file for vision, text, fuse"))
    }

    @Test
    fun aFileThatIsNoModelIsRefusedByTheEngine() {
        val text = "not a model".toByteArray()
        val digest = Fixtures.sha256(java.nio.ByteBuffer.wrap(text))
        val folder = withManifest { it.getJSONObject("files").getJSONObject("encoder.tflite").put("sha256", digest) }
        File(folder, "encoder.tflite").writeBytes(text)
        assertThrows(EngineException::class.java) { Fixtures.open(folder) }
    }

    @Test
    fun goldenSamplesAreReadWholeOrNotAtAll() {
        assertEquals(32, Golden.read(EncoderBundle.open(FolderSource(Fixtures.bundle))).samples)
        val folder = copied().also { File(it, Golden.FILE).writeBytes(File(Fixtures.bundle, Golden.FILE).readBytes().copyOf(1000)) }
        val bundle = EncoderBundle.open(FolderSource(folder))
        assertTrue(assertThrows(BundleException::class.java) { Golden.read(bundle) }.message!!.contains("altered"))
    }
}
