package dev.pocketencoder

import com.sun.jna.Library
import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference
import java.nio.ByteBuffer

/** LiteRT's C interface, as far as it is used here; `size_t` is 64 bits wide. */
@Suppress("FunctionName", "TooManyFunctions") // the names of the C functions
private interface LiteRt : Library {
    fun LiteRtCreateEnvironment(options: Int, values: Pointer?, into: PointerByReference): Int
    fun LiteRtCreateModelFromBuffer(environment: Pointer, address: Pointer, size: Long, into: PointerByReference): Int
    fun LiteRtCreateOptions(into: PointerByReference): Int
    fun LiteRtSetOptionsHardwareAccelerators(options: Pointer, accelerators: Int): Int
    fun LiteRtCreateCompiledModel(environment: Pointer, model: Pointer, options: Pointer, into: PointerByReference): Int
    fun LiteRtGetNumModelSignatures(model: Pointer, into: PointerByReference): Int
    fun LiteRtGetModelSignature(model: Pointer, index: Long, into: PointerByReference): Int
    fun LiteRtGetSignatureKey(signature: Pointer, into: PointerByReference): Int
    fun LiteRtGetNumSignatureInputs(signature: Pointer, into: PointerByReference): Int
    fun LiteRtGetNumSignatureOutputs(signature: Pointer, into: PointerByReference): Int
    fun LiteRtGetSignatureInputName(signature: Pointer, index: Long, into: PointerByReference): Int
    fun LiteRtGetSignatureOutputName(signature: Pointer, index: Long, into: PointerByReference): Int
    fun LiteRtGetSignatureInputTensorByIndex(signature: Pointer, index: Long, into: PointerByReference): Int
    fun LiteRtGetSignatureOutputTensorByIndex(signature: Pointer, index: Long, into: PointerByReference): Int
    fun LiteRtGetRankedTensorType(tensor: Pointer, into: Pointer): Int
    fun LiteRtCreateTensorBufferFromHostMemory(type: Pointer, address: Pointer, size: Long, deallocator: Pointer?, into: PointerByReference): Int
    fun LiteRtCompiledModelResizeInputTensor(model: Pointer, signature: Long, input: Long, sizes: IntArray, rank: Long): Int
    fun LiteRtRunCompiledModel(model: Pointer, signature: Long, inputs: Long, inputBuffers: Pointer, outputs: Long, outputBuffers: Pointer): Int
    fun LiteRtDestroyTensorBuffer(buffer: Pointer)
    fun LiteRtDestroyCompiledModel(model: Pointer)
    fun LiteRtDestroyOptions(options: Pointer)
    fun LiteRtDestroyModel(model: Pointer)
    fun LiteRtDestroyEnvironment(environment: Pointer)
}

/** Runs a real .tflite on this machine, through the C library of the Python wheel that the export uses. */
class LiteRtEngine(private val model: ByteBuffer) : Engine {
    private inner class Tensor(val name: String, val spec: TensorSpec, val type: Memory) {
        lateinit var memory: ByteBuffer
        lateinit var handle: Pointer

        /** Makes memory of a shape that fits. */
        fun allocate(shape: List<Int>) {
            shape.forEachIndexed { index, size -> type.setInt(8L + 4 * index, size) }
            val bytes = TensorSpec(spec.type, shape).bytes
            val room = Memory((bytes + ALIGNMENT).toLong()).also { keep += it }.align(ALIGNMENT)
            memory = room.getByteBuffer(0, bytes.toLong())
            handle = made { api.LiteRtCreateTensorBufferFromHostMemory(type, room, bytes.toLong(), null, it) }
        }
    }

    private class Signature(val index: Long, val inputs: List<Tensor>, val outputs: List<Tensor>, val pointers: Pair<Memory, Memory>)

    // JNA would unload the library with its last user, but LiteRT leaves things to do at the process's end.
    private val api = Native.load(System.getProperty("pocket.litert"), LiteRt::class.java, mapOf(Library.OPTION_OPEN_FLAGS to KEEP_LOADED))
    private val keep = mutableListOf<Memory>() // native memory lives as long as its object
    private val environment = made { api.LiteRtCreateEnvironment(0, null, it) }
    private val file = made { api.LiteRtCreateModelFromBuffer(environment, Native.getDirectBufferPointer(model), model.capacity().toLong(), it) }
    private val options = made { api.LiteRtCreateOptions(it) }.also { succeed(api.LiteRtSetOptionsHardwareAccelerators(it, CPU)) }
    private val compiled = made { api.LiteRtCreateCompiledModel(environment, file, options, it) }
    private val parts: Map<String, Signature> = (0 until count { api.LiteRtGetNumModelSignatures(file, it) }).associate { index ->
        val handle = made { api.LiteRtGetModelSignature(file, index, it) }
        val inputs = tensors(
            count { api.LiteRtGetNumSignatureInputs(handle, it) },
            { at, into -> api.LiteRtGetSignatureInputName(handle, at, into) },
            { at, into -> api.LiteRtGetSignatureInputTensorByIndex(handle, at, into) },
        )
        val outputs = tensors(
            count { api.LiteRtGetNumSignatureOutputs(handle, it) },
            { at, into -> api.LiteRtGetSignatureOutputName(handle, at, into) },
            { at, into -> api.LiteRtGetSignatureOutputTensorByIndex(handle, at, into) },
        )
        made { api.LiteRtGetSignatureKey(handle, it) }.getString(0) to Signature(index, inputs, outputs, array(inputs) to array(outputs))
    }
    private var open = true

    override val signatures = parts.mapValues { (_, part) ->
        SignatureSpec(part.inputs.associate { it.name to it.spec }, part.outputs.associate { it.name to it.spec })
    }

    override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) {
        check(open) { "the engine was used after it was closed" }
        val part = parts.getValue(signature)
        part.inputs.forEachIndexed { place, tensor ->
            val given = inputs.getValue(tensor.name)
            if (given.capacity() != tensor.memory.capacity()) resize(part, place, tensor.spec.shapeOf(given))
            copy(given, tensor.memory)
        }
        succeed(
            api.LiteRtRunCompiledModel(
                compiled, part.index, part.inputs.size.toLong(), part.pointers.first, part.outputs.size.toLong(), part.pointers.second,
            ),
        )
        for (tensor in part.outputs) copy(tensor.memory, outputs.getValue(tensor.name))
    }

    override fun close() {
        check(open) { "the engine was closed twice" }
        open = false
        parts.values.flatMap { it.inputs + it.outputs }.forEach { api.LiteRtDestroyTensorBuffer(it.handle) }
        api.LiteRtDestroyCompiledModel(compiled)
        api.LiteRtDestroyOptions(options)
        api.LiteRtDestroyModel(file)
        api.LiteRtDestroyEnvironment(environment)
    }

    private fun tensors(count: Long, name: (Long, PointerByReference) -> Int, tensor: (Long, PointerByReference) -> Int) =
        (0 until count).map { index ->
            val type = Memory(RANKED_TYPE_BYTES).also { keep += it }
            succeed(api.LiteRtGetRankedTensorType(made { tensor(index, it) }, type))
            val shape = List(type.getInt(4) and RANK_MASK) { type.getInt(8L + 4 * it) }
            val spec = TensorSpec(TYPES.getValue(type.getInt(0)), shape)
            Tensor(made { name(index, it) }.getString(0), spec, type).apply { allocate(shape.map { if (it == TensorSpec.ANY) 1 else it }) }
        }

    private fun resize(part: Signature, place: Int, shape: List<Int>) {
        val tensor = part.inputs[place]
        succeed(api.LiteRtCompiledModelResizeInputTensor(compiled, part.index, place.toLong(), shape.toIntArray(), shape.size.toLong()))
        api.LiteRtDestroyTensorBuffer(tensor.handle)
        tensor.allocate(shape)
        part.pointers.first.setPointer(8L * place, tensor.handle)
    }

    private fun array(tensors: List<Tensor>) = Memory(8L * tensors.size).also { memory ->
        tensors.forEachIndexed { index, tensor -> memory.setPointer(8L * index, tensor.handle) }
    }

    private fun copy(from: ByteBuffer, to: ByteBuffer) {
        to.duplicate().apply { clear() }.put(from.duplicate().apply { clear() })
    }

    private fun made(make: (PointerByReference) -> Int): Pointer = PointerByReference().also { succeed(make(it)) }.value

    private fun count(make: (PointerByReference) -> Int): Long = Pointer.nativeValue(PointerByReference().also { succeed(make(it)) }.value)

    private fun succeed(status: Int) {
        if (status != 0) throw EngineException("LiteRT failed with status $status")
    }

    private companion object {
        const val CPU = 1
        const val KEEP_LOADED = 0x1002 // RTLD_NOW and RTLD_NODELETE
        const val ALIGNMENT = 64
        const val RANK_MASK = 0x7F
        const val RANKED_TYPE_BYTES = 72L // element type, rank and flags, 8 dimensions, 8 strides
        val TYPES = mapOf(1 to ElementType.FLOAT32, 2 to ElementType.INT32, 3 to ElementType.UINT8)
    }
}
