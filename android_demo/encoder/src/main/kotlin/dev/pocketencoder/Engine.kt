package dev.pocketencoder

import java.io.Closeable
import java.nio.ByteBuffer

/** Element types of the public tensors, by the names that the manifest uses. */
enum class ElementType(val label: String, val bytes: Int) {
    UINT8("uint8", 1),
    INT32("int32", 4),
    FLOAT32("float32", 4),
}

/** A tensor's element type and shape; a size that a model leaves open is [ANY]. */
data class TensorSpec(val type: ElementType, val shape: List<Int>) {
    /** Number of elements. */
    val size: Int get() = shape.fold(1, Int::times)

    /** Number of bytes. */
    val bytes: Int get() = size * type.bytes

    /** Whether a model leaves a size open. */
    val isOpen: Boolean get() = ANY in shape

    /** The shape of a buffer's elements, where no more than one size is open. */
    fun shapeOf(buffer: ByteBuffer): List<Int> {
        val rest = shape.filter { it != ANY }.fold(1, Int::times)
        return shape.map { if (it == ANY) buffer.capacity() / type.bytes / rest else it }
    }

    /** Whether a tensor of this model's can be the other one. */
    fun fits(other: TensorSpec): Boolean =
        type == other.type && shape.size == other.shape.size && shape.zip(other.shape).all { (own, asked) -> own == ANY || own == asked }

    override fun toString() = "${type.label} $shape"

    companion object {
        /** A size that may be any. */
        const val ANY = -1
    }
}

/** The tensors of a callable part of the model, by name. */
data class SignatureSpec(val inputs: Map<String, TensorSpec>, val outputs: Map<String, TensorSpec>)

/** Runs the signatures of one opened model. Not for two threads at once. */
interface Engine : Closeable {
    /** What the model can run, read from the model itself. */
    val signatures: Map<String, SignatureSpec>

    /**
     * Runs a signature.
     *
     * @param signature one of [signatures].
     * @param inputs direct buffers in native byte order, by tensor name, each of its tensor's size; where a size is open,
     * the buffer's decides.
     * @param outputs the same, to be filled. Positions of buffers are neither used nor kept.
     * @throws EngineException the engine failed.
     */
    fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>)
}

/** Opens a model file that is mapped into memory, and stays so while the engine is open. */
fun interface EngineFactory {
    /** @throws EngineException the engine cannot open it. */
    fun open(model: ByteBuffer): Engine
}
