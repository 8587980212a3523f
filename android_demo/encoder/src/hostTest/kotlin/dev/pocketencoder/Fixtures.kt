package dev.pocketencoder

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.os.Looper
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.robolectric.Shadows.shadowOf
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** What `python -m android_demo.check` lays out for the tests, and where it looks for what they leave. */
object Fixtures {
    private const val TIMEOUT_MS = 60_000
    val work = File(System.getProperty("pocket.work")!!)

    /** The app's assets, and the exported bundle in them. */
    val assets = File(work, "assets")
    val bundle: File by lazy { File(assets, JSONObject(File(assets, "demo.json").readText()).getString("preset")) }

    /** The bundle's model with byte-level BPE in place of its own tokenizer. */
    val byteBpeBundle = File(work, "fixtures/byte_bpe_bundle")

    /** Inputs, a JSON object a line, with what the Python runtime makes of them. */
    fun lines(name: String): List<JSONObject> = File(work, "fixtures/$name").readLines().map(::JSONObject)

    /** A file of the project's tokenizer of a type. */
    fun tokenizerFile(type: String, name: String): ByteArray = File(work, "fixtures/tokenizers/$type/$name").readBytes()

    /** Compares a type of tokenizer with Python's on all texts there are; [open] opens one of so many ids, cut on a side. */
    fun assertSameIds(type: String, open: (Int, Truncation) -> Tokenizer) {
        val expected = lines("tokenizers/$type/texts.jsonl")
        val opened = mutableMapOf<Pair<Int, Truncation>, Tokenizer>()
        val differing = expected.filter {
            val truncation = Truncation.values().first { side -> side.label == it.getString("truncation") }
            val tokenizer = opened.getOrPut(it.getInt("length") to truncation) { open(it.getInt("length"), truncation) }
            tokenizer.encode(it.getString("text").repeat(it.getInt("times"))).toList() != it.getJSONArray("ids").ints()
        }
        val result = "${expected.size - differing.size} id for id"
        reportParity(type, "token ids of texts, $type", expected.size, result, differing.isEmpty())
        assertTrue("only ${expected.size} texts", expected.size > 5000)
        assertEquals(emptyList<String>(), differing.map { it.getString("text") })
    }

    fun bitmap(path: String, ask: BitmapFactory.Options.() -> Unit = {}): Bitmap =
        BitmapFactory.decodeFile(path, BitmapFactory.Options().apply(ask)) ?: error("cannot decode $path")

    /** A copy of the bundle with another manifest, in a new folder. */
    fun changed(folder: File, change: (JSONObject) -> Unit): File = folder.also {
        bundle.copyRecursively(folder, overwrite = true)
        val file = File(folder, "manifest.json")
        file.writeBytes(sealed(JSONObject(file.readText()).also(change)))
    }

    /** A manifest as a file, with the digest of what is in it now. */
    private fun sealed(manifest: JSONObject): ByteArray {
        manifest.remove("manifest_sha256")
        val digits = "0".repeat(64)
        return EncoderBundle.sealed("{\n \"manifest_sha256\": \"$digits\",${manifest.toString().drop(1)}".toByteArray())
    }

    fun open(folder: File = bundle): ScreenEncoder = ScreenEncoder.open(FolderSource(folder), ::LiteRtEngine)

    fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

    fun sha256(buffer: ByteBuffer): String {
        val digest = MessageDigest.getInstance("SHA-256").apply { update(buffer.duplicate().apply { clear() }) }
        return digest.digest().joinToString("") { "%02x".format(it) }
    }

    /** Keeps figures for the report. */
    fun report(file: String, figures: JSONObject) {
        File(work, "results").apply { mkdirs() }.resolve("$file.json").writeText(figures.toString())
    }

    /** Keeps a row of the table "Kotlin against Python". */
    fun reportParity(file: String, what: String, compared: Int, result: String, passed: Boolean) {
        val row = JSONObject().put("what", what).put("compared", compared).put("result", result).put("passed", passed)
        report("parity_$file", JSONObject().put("parity_$file", row))
    }

    /** Lets the main thread work until something is so. */
    fun waitUntil(what: String, condition: () -> Boolean) {
        val end = System.currentTimeMillis() + TIMEOUT_MS
        while (!condition()) {
            check(System.currentTimeMillis() < end) { "$what did not happen within ${TIMEOUT_MS / 1000} s" }
            shadowOf(Looper.getMainLooper()).idle()
            Thread.sleep(2)
        }
    }
}

fun JSONArray.ints() = List(length()) { getInt(it) }
fun JSONArray.strings() = List(length()) { getString(it) }
fun JSONArray.floats() = FloatArray(length()) { getDouble(it).toFloat() }
