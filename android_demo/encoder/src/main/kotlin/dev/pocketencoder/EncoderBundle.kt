package dev.pocketencoder

import org.json.JSONException
import org.json.JSONObject
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.security.MessageDigest

/**
 * A callable part of the model, by the names of its public tensors.
 *
 * @property inputs what it takes.
 * @property outputs what it gives, first what the next part takes, or the embedding.
 */
data class Part(val inputs: List<String>, val outputs: List<String>)

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

    /** Length that user vectors are scaled down to where they are longer. */
    val maxUserNorm: Double = manifest.getJSONObject("preprocessing").getJSONObject("user").getDouble("max_norm")

    /** Whether the model finds the regions of a screen: `vision` then gives [REGION_MASKS] too. */
    val hasMasks: Boolean get() = REGION_MASKS in tensors

    /** The model's parts, by name, in the order in which an app runs them. */
    val parts: Map<String, Part> get() = if (hasMasks) PARTS + VISION_WITH_MASKS else PARTS

    /** Name of the .tflite file of a precision that serves `vision`, `text` and `fuse`. */
    fun model(precision: String = "int8"): String {
        val files = manifest.getJSONObject("files")
        return files.keys().asSequence().firstOrNull { name ->
            val entry = files.getJSONObject(name)
            val signatures = entry.optJSONArray("signatures")
            val served = (0 until (signatures?.length() ?: 0)).map { signatures?.optString(it) }
            entry.optString("engine") == "tflite" && entry.optString("precision") == precision && served.containsAll(parts.keys)
        } ?: throw BundleException("${source.name}: the manifest lists no tflite $precision file for ${parts.keys.joinToString()}")
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
        val found = hexadecimal(digest)
        if (found != expected) {
            throw BundleException(
                "${source.name}/$name: altered since its export: sha256 ${found.take(12)}..., the manifest says " +
                    "${expected.take(12)}...; copy manifest.json, vocabulary and model from one export",
            )
        }
    }

    companion object {
        /** The manifests that this library reads. */
        const val SCHEMA_VERSION = 4

        /** Further output of `vision`, where the model finds the regions: a soft mask each, 1 = inside. */
        const val REGION_MASKS = "region_masks"

        /** The regions, in the order of the masks, and of the screen tokens behind the global view. */
        val REGIONS = listOf("title", "input", "keyboard", "status")

        private val PARTS = mapOf(
            "vision" to Part(listOf("image"), listOf("screen_tokens")),
            "text" to Part(listOf("input_ids", "attention_mask"), listOf("text_token")),
            "fuse" to Part(listOf("screen_tokens", "text_token", "user"), listOf("embedding")),
        )
        private val VISION_WITH_MASKS = PARTS.getValue("vision").let { "vision" to it.copy(outputs = it.outputs + REGION_MASKS) }
        private const val MANIFEST = "manifest.json"
        private const val HEAD = "{\n \"manifest_sha256\": \""
        private const val DIGEST_LENGTH = 64
        private val RANKS = mapOf("image" to 4, "input_ids" to 2, "attention_mask" to 2, "user" to 2) +
            mapOf("screen_tokens" to 3, "text_token" to 3, "embedding" to 2)
        private const val MASKS_RANK = 4

        /**
         * Reads a bundle's manifest.
         *
         * @throws BundleException there is none, or this library does not read it.
         */
        fun open(source: BundleSource): EncoderBundle {
            val where = "${source.name}/$MANIFEST"
            val bytes = reading(source, MANIFEST) { source.open(MANIFEST).use { it.readBytes() } }
            try {
                val manifest = JSONObject(bytes.toString(Charsets.UTF_8))
                val version = manifest.opt("schema_version")
                if (version != SCHEMA_VERSION) {
                    throw BundleException(
                        "$where: schema_version $version is unknown, this library reads $SCHEMA_VERSION; " +
                            "export the bundle again, or update the library",
                    )
                }
                if (!bytes.contentEquals(sealed(bytes))) {
                    throw BundleException(
                        "$where: altered since its export: it is not what its manifest_sha256 was taken of; export the bundle again",
                    )
                }
                val tensors = RANKS.mapValues { (name, rank) -> tensor(manifest, name, rank, where) } + masks(manifest, where)
                checkPreprocessing(manifest, tensors, where)
                manifest.getJSONObject("files")
                return EncoderBundle(source, manifest, tensors)
            } catch (error: JSONException) {
                throw BundleException("$where: not a manifest: ${error.message}; export the bundle again", error)
            } catch (error: StackOverflowError) {
                throw BundleException("$where: not a manifest: nested too deeply", error)
            }
        }

        /**
         * A manifest with its own digest at its beginning, as the export writes it: the SHA-256 of its bytes with zeros
         * in the digest's place. So every bit of the file counts, and no form of JSON has to be agreed on.
         */
        internal fun sealed(manifest: ByteArray): ByteArray {
            val start = HEAD.toByteArray()
            val rest = manifest.copyOfRange(minOf(start.size + DIGEST_LENGTH, manifest.size), manifest.size)
            val digest = MessageDigest.getInstance("SHA-256").digest(start + "0".repeat(DIGEST_LENGTH).toByteArray() + rest)
            return start + hexadecimal(digest).toByteArray() + rest
        }

        private fun hexadecimal(digest: ByteArray): String = digest.joinToString("") { "%02x".format(it) }

        private fun tensor(manifest: JSONObject, name: String, rank: Int, where: String): TensorSpec {
            val entry = manifest.getJSONObject("tensors").getJSONObject(name)
            val type = ElementType.values().firstOrNull { it.label == entry.optString("dtype") }
            val shape = entry.getJSONArray("shape").let { array -> List(array.length()) { array.getInt(it) } }
            if (type == null || shape.size != rank || shape.any { it < 1 }) {
                throw BundleException("$where: tensor $name cannot be $entry; export the bundle again")
            }
            return TensorSpec(type, shape)
        }

        /** The region masks' tensor, by its name, where the manifest has it. */
        private fun masks(manifest: JSONObject, where: String): Map<String, TensorSpec> {
            if (manifest.getJSONObject("tensors").isNull(REGION_MASKS)) return emptyMap()
            val spec = tensor(manifest, REGION_MASKS, MASKS_RANK, where)
            val (height, width) = spec.shape.takeLast(2)
            val wanted = TensorSpec(ElementType.FLOAT32, listOf(1, REGIONS.size, height, width))
            if (spec != wanted) throw BundleException("$where: tensor $REGION_MASKS must be $wanted, not $spec; export the bundle again")
            return mapOf(REGION_MASKS to spec)
        }

        /** How the app must prepare screens and texts has to be how this library does it. */
        private fun checkPreprocessing(manifest: JSONObject, tensors: Map<String, TensorSpec>, where: String) {
            val image = manifest.getJSONObject("preprocessing").getJSONObject("image")
            val user = manifest.getJSONObject("preprocessing").getJSONObject("user")
            val norm = (user.opt("max_norm") as? Number)?.toDouble() ?: 0.0
            if (!(norm > 0 && norm.isFinite())) {
                throw BundleException("$where: preprocessing max_norm must be a finite number above 0, not ${user.opt("max_norm")}")
            }
            val tokenizer = manifest.getJSONObject("tokenizer")
            val type = tokenizer.optString("type")
            val files = Tokenizer.FILES[type]
                ?: throw BundleException("$where: tokenizer type must be ${Tokenizer.FILES.keys.joinToString(" or ")}, not $type")
            val truncation = tokenizer.optString("truncation")
            if (Truncation.values().none { it.label == truncation }) {
                throw BundleException("$where: tokenizer truncation must be left or right, not $truncation")
            }
            val size = tensors.getValue("image").shape.subList(1, 3).joinToString(",", "[", "]")
            val found = mapOf(
                "preprocessing method" to (image.opt("method") to "area_integer"),
                "preprocessing channels" to (image.opt("channels") to "RGB"),
                "preprocessing user" to (user.opt("method") to "bound_norm"),
                "preprocessing size" to (image.opt("size").toString() to size),
                "tokenizer max_length" to (tokenizer.opt("max_length") to tensors.getValue("input_ids").shape[1]),
            ) + if (type == "wordpiece") mapOf("tokenizer lowercase" to (tokenizer.opt("lowercase") to true)) else emptyMap()
            for ((what, pair) in found) {
                if (pair.first != pair.second) throw BundleException("$where: $what must be ${pair.second}, not ${pair.first}")
            }
            files.forEach(tokenizer::getString)
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
