package dev.pocketencoder

import android.graphics.Bitmap
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.max
import kotlin.math.sqrt

/** The steps of encoding, of which a [TimingListener] is told. */
enum class Stage { PREPROCESS, VISION, TOKENIZE, TEXT, FUSE }

/** Told on the encoder's own thread how long each step took. */
fun interface TimingListener {
    fun onStage(stage: Stage, nanoseconds: Long)
}

/**
 * The model with everything around it, on buffers that are made once. Not for two threads at once.
 *
 * @param bundle has the tokenizer's files, and the tensors that the model must have.
 * @param engine runs the model.
 * @throws BundleException the tokenizer's files cannot be used.
 * @throws EngineException the model's tensors are not the manifest's.
 */
internal class Pipeline(private val bundle: EncoderBundle, private val engine: Engine) {
    private val tensors = bundle.parts.flatMap { (name, part) -> publicTensors(name, part) }.toMap()
    private val isOpen = engine.signatures.getValue("text").inputs.values.all { it.isOpen }
    private val buffers = tensors.mapValues { (_, spec) -> direct(spec.bytes) }
    private val spareTokens = direct(tensors.getValue("screen_tokens").bytes)
    private val inputs = bundle.parts.mapValues { (_, part) -> part.inputs.associateWith(buffers::getValue) }
    private val outputs = bundle.parts.mapValues { (_, part) -> part.outputs.associateWith(buffers::getValue) }
    private val visionOutputs = outputs.getValue("vision") + ("screen_tokens" to spareTokens)
    private val preprocess = tensors.getValue("image").shape.let { (_, height, width) -> Preprocess(height, width) }
    private val tokenizer = Tokenizer.open(bundle)
    private val inputIds = buffers.getValue("input_ids").asIntBuffer()
    private val attentionMask = buffers.getValue("attention_mask").asIntBuffer()
    private val shortTexts = HashMap<Int, Map<String, ByteBuffer>>() // the inputs of texts of so many tokens
    private val user = buffers.getValue("user").asFloatBuffer()
    private val textToken = buffers.getValue("text_token").asFloatBuffer()
    private val embedding = buffers.getValue("embedding").asFloatBuffer()
    private var hasScreen = false

    @Volatile
    var listener: TimingListener? = null

    /** Looks at a screen and keeps its tokens for the texts that follow; where it fails, those of the last one stay. */
    fun screen(screenshot: Bitmap, stop: Stop) {
        look(screenshot, stop)
        stop.check()
        buffers.getValue("screen_tokens").let { kept ->
            kept.clear()
            kept.put(spareTokens.duplicate().apply { clear() })
        }
        hasScreen = true
    }

    /** A screen's tokens, [5 * 256]; the screen that is kept for texts stays. */
    fun screenTokens(screenshot: Bitmap, stop: Stop): FloatArray {
        look(screenshot, stop)
        val tokens = spareTokens.asFloatBuffer()
        return FloatArray(tokens.capacity()).also { read(tokens, it) }
    }

    /** Leaves a screen's tokens in [spareTokens]. */
    private fun look(screenshot: Bitmap, stop: Stop) {
        timed(Stage.PREPROCESS) { preprocess.resize(screenshot, buffers.getValue("image")) { stop.requested } }
        stop.check()
        timed(Stage.VISION) { engine.run("vision", inputs.getValue("vision"), visionOutputs) }
    }

    /**
     * [screen], and the masks of its regions by their names.
     *
     * @throws RegionsException the model has fixed regions; the screen was not looked at.
     */
    fun regions(screenshot: Bitmap, stop: Stop): Map<String, RegionMask> {
        if (!bundle.hasMasks) throw fixedRegions()
        screen(screenshot, stop)
        val (height, width) = tensors.getValue(EncoderBundle.REGION_MASKS).shape.takeLast(2)
        val masks = buffers.getValue(EncoderBundle.REGION_MASKS).asFloatBuffer() // [regions, height, width]
        return EncoderBundle.REGIONS.withIndex().associate { (index, region) ->
            region to RegionMask(height, width, FloatArray(height * width) { masks.get(index * height * width + it) })
        }
    }

    private fun fixedRegions(): RegionsException {
        val method = bundle.manifest.optJSONObject("config")?.optString("roi_method").orEmpty().ifEmpty { "fixed_grid" }
        return RegionsException(
            "${bundle.source.name}: its regions are fixed (roi_method $method); export a preset that finds them, such as balanced_sam",
        )
    }

    /** The embedding of a text on the last screen, [256]. */
    fun embed(text: String, vector: FloatArray?, stop: Stop): FloatArray {
        if (!hasScreen) throw NoScreenException("no screen yet: call onScreen(bitmap) once before onText(text)")
        setUser(vector)
        runText(text)
        stop.check()
        timed(Stage.FUSE) { engine.run("fuse", inputs.getValue("fuse"), outputs.getValue("fuse")) }
        return FloatArray(embedding.capacity()).also { read(embedding, it) }
    }

    /** The text token alone, scaled to unit length, [256]. */
    fun textEmbedding(text: String): FloatArray {
        runText(text)
        val token = FloatArray(textToken.capacity()).also { read(textToken, it) }
        val norm = max(sqrt(token.sumOf { it.toDouble() * it }), SMALLEST_NORM).toFloat()
        for (index in token.indices) token[index] /= norm
        return token
    }

    /** Checks a user vector before any work. @throws UserVectorException it cannot be used. */
    fun checkUser(vector: FloatArray?) {
        val length = user.capacity()
        if (vector == null) return
        if (vector.size != length) throw UserVectorException("the user vector must be $length numbers, not ${vector.size}")
        val bad = vector.indexOfFirst { !it.isFinite() }
        if (bad >= 0) throw UserVectorException("the user vector holds ${vector[bad]} at position $bad: every number must be finite")
    }

    private fun setUser(vector: FloatArray?) {
        checkUser(vector)
        val scale = if (vector == null) 1.0 else scaleOf(vector)
        for (index in 0 until user.capacity()) user.put(index, ((vector?.get(index) ?: 0f) * scale).toFloat()) // zeros: an unknown user
    }

    /**
     * What brings a user vector down to the length that the model knows, 1 where it is short enough: the twin of the Python
     * runtime's `bound_norm`, bit for bit. The squares are added one after another, and all of it is Double.
     */
    private fun scaleOf(vector: FloatArray): Double {
        var total = 0.0
        for (value in vector) total += value.toDouble() * value
        return bundle.maxUserNorm / max(sqrt(total), bundle.maxUserNorm)
    }

    private fun runText(text: String) {
        var count = 0
        timed(Stage.TOKENIZE) { count = tokenizer.encode(text, inputIds, attentionMask) }
        timed(Stage.TEXT) { engine.run("text", if (isOpen) shortText(count) else inputs.getValue("text"), outputs.getValue("text")) }
    }

    /** The inputs of a text with no more padding than a multiple of [STEP] tokens needs, as Python's `Engine.text`. */
    private fun shortText(count: Int): Map<String, ByteBuffer> {
        val length = minOf((count + STEP - 1) / STEP * STEP, inputIds.capacity())
        return shortTexts.getOrPut(length) {
            inputs.getValue("text").mapValues { (_, buffer) ->
                buffer.duplicate().apply { clear().limit(length * Int.SIZE_BYTES) }.slice().order(ByteOrder.nativeOrder())
            }
        }
    }

    private inline fun timed(stage: Stage, work: () -> Unit) {
        val begin = System.nanoTime()
        work()
        listener?.onStage(stage, System.nanoTime() - begin)
    }

    private fun read(from: java.nio.FloatBuffer, into: FloatArray) {
        for (index in into.indices) into[index] = from.get(index)
    }

    /** The tensors of a part of the model, once its own account of them is known to be the manifest's. */
    private fun publicTensors(name: String, part: Part): List<Pair<String, TensorSpec>> {
        val where = bundle.source.name
        val own = engine.signatures[name]
        if (own == null || own.inputs.keys != part.inputs.toSet() || own.outputs.keys != part.outputs.toSet()) {
            val wanted = "(${part.inputs.joinToString()}) -> (${part.outputs.joinToString()})"
            throw EngineException("$where: the model's signature $name must be $wanted; export the bundle again")
        }
        val found = (own.inputs + own.outputs).toList()
        for ((tensor, spec) in found) {
            val declared = bundle.tensors.getValue(tensor)
            if (!spec.fits(declared)) {
                throw EngineException("$where: the model's $name has $tensor $spec, the manifest says $declared; export the bundle again")
            }
        }
        return found.map { (tensor, _) -> tensor to bundle.tensors.getValue(tensor) }
    }

    private companion object {
        const val SMALLEST_NORM = 1e-12
        const val STEP = 8 // tokens by which a text's length grows: engines plan anew for each other length

        fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
    }
}
