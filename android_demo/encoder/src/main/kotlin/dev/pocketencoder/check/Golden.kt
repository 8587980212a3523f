package dev.pocketencoder.check

import dev.pocketencoder.BundleException
import dev.pocketencoder.ElementType
import dev.pocketencoder.EncoderBundle
import dev.pocketencoder.TensorSpec
import java.io.ByteArrayInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipException
import java.util.zip.ZipInputStream

/**
 * Golden samples of a bundle: every public tensor, [N, ...], N the same for all. Outputs are PyTorch's.
 *
 * @property samples N.
 */
class Golden private constructor(
    val samples: Int,
    private val tensors: Map<String, TensorSpec>,
    private val arrays: Map<String, ByteBuffer>,
) {
    /** Copies one sample of a tensor into a buffer of its size. */
    fun copy(tensor: String, sample: Int, into: ByteBuffer) {
        val bytes = tensors.getValue(tensor).bytes
        into.clear()
        into.put(arrays.getValue(tensor).duplicate().apply { limit((sample + 1) * bytes).position(sample * bytes) })
        into.clear()
    }

    /** A float tensor, a flat row a sample. */
    fun rows(tensor: String): List<FloatArray> {
        val size = tensors.getValue(tensor).size
        val values = arrays.getValue(tensor).asFloatBuffer()
        return List(samples) { sample -> FloatArray(size) { values.get(sample * size + it) } }
    }

    companion object {
        const val FILE = "golden.npz"
        private val DTYPES = mapOf("|u1" to ElementType.UINT8, "<i4" to ElementType.INT32, "<f4" to ElementType.FLOAT32)
        private val HEADER = Regex("""\{'descr': '([^']+)', 'fortran_order': False, 'shape': \(([\d, ]+)\),? *\}\s*""")
        private val MAGIC = "\u0093NUMPY\u0001\u0000".toByteArray(Charsets.ISO_8859_1) // version 1.0
        private const val LENGTH_END = 10

        /**
         * Reads a bundle's golden.npz.
         *
         * @throws BundleException it is missing or altered, or an array is missing or of another type or shape.
         */
        fun read(bundle: EncoderBundle): Golden {
            val where = "${bundle.source.name}/$FILE"
            val entries = mutableMapOf<String, ByteBuffer>()
            var samples = 0
            try {
                ZipInputStream(ByteArrayInputStream(bundle.read(FILE))).use { zip ->
                    generateSequence { zip.nextEntry }.forEach { entry ->
                        val name = entry.name.removeSuffix(".npy")
                        val spec = bundle.tensors[name] ?: return@forEach
                        val wanted = "${spec.type.label} [N, ${spec.shape.drop(1).joinToString()}]"
                        val (count, data) = array(zip.readBytes(), spec) ?: throw BundleException("$where: $name must be $wanted")
                        samples = count
                        entries[name] = data
                    }
                }
            } catch (error: ZipException) {
                throw BundleException("$where: cannot be read: ${error.message}; copy it from the export", error)
            }
            val missing = bundle.tensors.keys - entries.keys
            val uneven = entries.filter { (name, data) -> data.remaining() != samples * bundle.tensors.getValue(name).bytes }
            if (missing.isNotEmpty()) throw BundleException("$where: has no array ${missing.joinToString()}")
            if (uneven.isNotEmpty() || samples == 0) {
                throw BundleException("$where: its arrays must hold the same number of samples, at least one")
            }
            return Golden(samples, bundle.tensors, entries)
        }

        /** Number of samples and data of an .npy file (version 1.0), or null where it is not of the spec's type and shape. */
        private fun array(file: ByteArray, spec: TensorSpec): Pair<Int, ByteBuffer>? {
            if (file.size < LENGTH_END || !file.copyOf(MAGIC.size).contentEquals(MAGIC)) return null
            val length = (file[8].toInt() and 0xFF) or (file[9].toInt() and 0xFF shl 8)
            val data = LENGTH_END + length
            if (data > file.size) return null
            val match = HEADER.matchEntire(String(file, LENGTH_END, length, Charsets.US_ASCII)) ?: return null
            val shape = match.groupValues[2].split(',').mapNotNull { it.trim().toIntOrNull() }
            if (DTYPES[match.groupValues[1]] != spec.type || shape.drop(1) != spec.shape.drop(1)) return null
            return shape[0] to ByteBuffer.wrap(file, data, file.size - data).slice().order(ByteOrder.LITTLE_ENDIAN)
        }
    }
}
