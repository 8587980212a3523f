package dev.pocketencoder

import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import java.nio.ByteBuffer

/**
 * TensorFlow Lite's interpreter, with XNNPACK.
 *
 * @param model the .tflite file, a mapped or direct buffer.
 * @param threads threads that a run may use.
 * @throws EngineException the interpreter cannot open it.
 */
class TfliteEngine(model: ByteBuffer, threads: Int = 1) : Engine {
    private val interpreter: Interpreter = try {
        Interpreter(model, Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true))
    } catch (error: RuntimeException) {
        throw EngineException("TensorFlow Lite cannot open the model: ${error.message?.trim()}", error)
    } catch (error: UnsatisfiedLinkError) {
        throw EngineException("TensorFlow Lite has no native library for this device's CPU: ${error.message}", error)
    }

    override val signatures: Map<String, SignatureSpec> = interpreter.signatureKeys.associateWith { key ->
        SignatureSpec(
            interpreter.getSignatureInputs(key).associateWith { spec(interpreter.getInputTensorFromSignature(it, key)) },
            interpreter.getSignatureOutputs(key).associateWith { spec(interpreter.getOutputTensorFromSignature(it, key)) },
        )
    }

    override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) {
        val specs = signatures.getValue(signature).inputs
        val values = inputs.mapValues { (name, buffer) -> if (specs.getValue(name).isOpen) rows(buffer) else buffer.rewind() }
        outputs.values.forEach { it.rewind() } // the interpreter writes from the position on
        try {
            interpreter.runSignature(values, outputs, signature)
        } catch (error: RuntimeException) {
            throw EngineException("TensorFlow Lite failed in $signature: ${error.message?.trim()}", error)
        }
    }

    override fun close() = interpreter.close()

    /** Ids or a mask as an array, [1, n]: by its sizes the interpreter resizes an input, which it does not by a buffer's. */
    private fun rows(buffer: ByteBuffer) = arrayOf(IntArray(buffer.capacity() / Int.SIZE_BYTES) { buffer.getInt(it * Int.SIZE_BYTES) })

    private fun spec(tensor: Tensor): TensorSpec {
        val type = when (tensor.dataType()) {
            DataType.UINT8 -> ElementType.UINT8
            DataType.INT32 -> ElementType.INT32
            DataType.FLOAT32 -> ElementType.FLOAT32
            else -> throw EngineException("tensor ${tensor.name()} is ${tensor.dataType()}; export the bundle again")
        }
        val shape = tensor.shapeSignature()
        return TensorSpec(type, (if (shape.isEmpty()) tensor.shape() else shape).toList())
    }
}
