package dev.pocketencoder

import org.json.JSONException
import org.json.JSONObject
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.security.MessageDigest

/**
 * An exported bundle whose manifest was checked. A file is compared with its SHA-256 when it is read.
 *
 * @property source where its files are.
 * @property manifest manifest.json as it is.
 * @property tensors the public tensors, by name.
 */
class EncoderBundle private constructor(
    val source: BundleSource,
    val manifest: JSONObject,
    val tensors: Map<String, TensorSpec>,
) {
    /** The name of the preset that was exported. */
    val preset: String get() = manifest.optString("preset")

    /** Name of the .tflite file of a precision that serves `vision`, `text` and `fuse`. */
    fun model(precision: String = "int8"): String {
        val files = manifest.getJSONObject("files")
        return files.keys().asSequence().firstOrNull { name ->
            val entry = files.getJSONObject(name)
            val signatures = entry.optJSONArray("signatures")
            val served = (0 until (signatures?.length() ?: 0)).map { signatures?.optString(it) }
            entry.optString("engine") == "tflite" && entry.optString("precision") == precision && served.containsAll(PARTS.keys)
        } ?: throw BundleException("${source.name}: the manifest lists no tflite $precision file for ${PARTS.keys.joinToString()}")
    }

    /** Reads a listed file as a whole. @throws BundleException it is not listed, missing or altered. */
    fun read(name: String): ByteArray {
        val expected = digestOf(name)
        val bytes = reading(source, name) { source.open(name).use { it.readBytes() } }
        check(name, expected, MessageDigest.getInstance("SHA-256").digest(bytes))
        return bytes
    }

    /** Maps a listed file into memory. @throws BundleException it is not listed, missing or altered. */
    fun map(name: String): ByteBuffer {
        val expected = digestOf(name)
        val buffer = reading(source, name) { source.map(name) }
        val digest = MessageDigest.getInstance("SHA-256")
        digest.update(buffer.duplicate())
        check(name, expected, digest.digest())
        return buffer
    }

    private fun digestOf(name: String): String = manifest.getJSONObject("files").optJSONObject(name)?.optString("sha256")
        ?: throw BundleException("${source.name}: the manifest lists no file $name")

    private fun check(name: String, expected: String, digest: ByteArray) {
        val found = digest.joinToString("") { "%02x".format(it) }
        if (found != expected) {
            throw BundleException(
                "${source.name}/$name: altered since its export: sha256 ${found.take(12)}..., the manifest says " +
                    "${expected.take(12)}...; copy manifest.json, vocabulary and model from one export",
            )
        }
    }

    companion object {
        /** The manifests that this library reads. */
        const val SCHEMA_VERSION = 1

        /** The model's parts: their inputs and their output, by the names of the public tensors. */
        val PARTS: Map<String, Pair<List<String>, String>> = mapOf(
            "vision" to (listOf("image") to "screen_tokens"),
            "text" to (listOf("input_ids", "attention_mask") to "text_token"),
            "fuse" to (listOf("screen_tokens", "text_token", "user") to "embedding"),
        )
        private const val MANIFEST = "manifest.json"
        private val RANKS = mapOf("image" to 4, "input_ids" to 2, "attention_mask" to 2, "user" to 2) +
            mapOf("screen_tokens" to 3, "text_token" to 3, "embedding" to 2)

        /**
         * Reads a bundle's manifest.
         *
         * @throws BundleException there is none, or this library does not read it.
         */
        fun open(source: BundleSource): EncoderBundle {
            val where = "${source.name}/$MANIFEST"
            val text = reading(source, MANIFEST) { source.open(MANIFEST).use { it.readBytes() } }.toString(Charsets.UTF_8)
            try {
                val manifest = JSONObject(text)
                val version = manifest.opt("schema_version")
                if (version != SCHEMA_VERSION) {
                    throw BundleException(
                        "$where: schema_version $version is unknown, this library reads $SCHEMA_VERSION; " +
                            "export the bundle again, or update the library",
                    )
                }
                val tensors = RANKS.mapValues { (name, rank) -> tensor(manifest, name, rank, where) }
                checkPreprocessing(manifest, tensors, where)
                manifest.getJSONObject("files")
                return EncoderBundle(source, manifest, tensors)
            } catch (error: JSONException) {
                throw BundleException("$where: not a manifest: ${error.message}; export the bundle again", error)
            } catch (error: StackOverflowError) {
                throw BundleException("$where: not a manifest: nested too deeply", error)
            }
        }

        private fun tensor(manifest: JSONObject, name: String, rank: Int, where: String): TensorSpec {
            val entry = manifest.getJSONObject("tensors").getJSONObject(name)
            val type = ElementType.values().firstOrNull { it.label == entry.optString("dtype") }
            val shape = entry.getJSONArray("shape").let { array -> List(array.length()) { array.getInt(it) } }
            if (type == null || shape.size != rank || shape.any { it < 1 }) {
                throw BundleException("$where: tensor $name cannot be $entry; export the bundle again")
            }
            return TensorSpec(type, shape)
        }

        /** How the app must prepare screens and texts has to be how this library does it. */
        private fun checkPreprocessing(manifest: JSONObject, tensors: Map<String, TensorSpec>, where: String) {
            val image = manifest.getJSONObject("preprocessing").getJSONObject("image")
            val tokenizer = manifest.getJSONObject("tokenizer")
            val size = tensors.getValue("image").shape.subList(1, 3).joinToString(",", "[", "]")
            val found = mapOf(
                "preprocessing method" to (image.opt("method") to "area_integer"),
                "preprocessing channels" to (image.opt("channels") to "RGB"),
                "preprocessing size" to (image.opt("size").toString() to size),
                "tokenizer type" to (tokenizer.opt("type") to "wordpiece"),
                "tokenizer lowercase" to (tokenizer.opt("lowercase") to true),
                "tokenizer max_length" to (tokenizer.opt("max_length") to tensors.getValue("input_ids").shape[1]),
            )
            for ((what, pair) in found) {
                if (pair.first != pair.second) throw BundleException("$where: $what must be ${pair.second}, not ${pair.first}")
            }
            tokenizer.getString("vocab")
        }

        private fun <T> reading(source: BundleSource, name: String, read: () -> T): T = try {
            read()
        } catch (error: FileNotFoundException) {
            throw BundleException("${source.name}/$name: the bundle's file is missing; copy it from dist/PRESET", error)
        } catch (error: IOException) {
            throw BundleException("${source.name}/$name: ${error.message}", error)
        }
    }
}
