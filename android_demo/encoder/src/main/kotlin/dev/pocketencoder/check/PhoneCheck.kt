package dev.pocketencoder.check

import android.graphics.Bitmap
import dev.pocketencoder.BundleException
import dev.pocketencoder.EncoderBundle
import dev.pocketencoder.Engine
import dev.pocketencoder.ScreenEncoder
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.concurrent.CancellationException

/**
 * Runs a bundle's golden samples on this phone and times it: is what it computes still what PyTorch computed, and how
 * fast and how large is it here?
 *
 * @param encoder an open encoder; its bundle must hold golden.npz.
 * @param device how reports name the phone.
 * @param threads what the encoder was opened with.
 * @param privateBytes memory that opening it added, see [Memory]; null where it was not measured.
 */
class PhoneCheck(
    private val encoder: ScreenEncoder,
    private val device: String,
    private val threads: Int,
    private val privateBytes: Long?,
) {
    private val bundle = encoder.bundle

    /**
     * Blocks for some seconds: not on the main thread.
     *
     * @param progress told the share that is done, in [0, 1]; by throwing [CancellationException] it stops the check.
     * @throws BundleException golden.npz is missing or altered, or the manifest has no limits.
     */
    fun run(progress: (Double) -> Unit = {}): PhoneReport {
        val limits = bundle.manifest.optJSONObject("limits")
        val parityLimits = limits?.optJSONObject("parity")?.optJSONObject("int8")
            ?: throw BundleException("${bundle.source.name}: the manifest has no limits.parity for int8; export the bundle again")
        val golden = Golden.read(bundle)
        val known = parityLimits.keys().asSequence().associateWith { parityLimits.getDouble(it) }
        val signatures = bundle.parts.keys + (if (bundle.hasMasks) listOf(MASKS) else emptyList()) + WHOLE
        val parity = signatures.mapIndexed { index, signature ->
            val outputs = List(golden.samples) { sample ->
                progress(PARITY_SHARE * (index + sample.toDouble() / golden.samples) / signatures.size)
                encoder.withEngine { engine, _ -> output(engine, signature, golden, sample) }.await()
            }
            row(signature, outputs, golden.rows(outputOf(signature)), known)
        }
        val latency = latency { progress(PARITY_SHARE + (1 - PARITY_SHARE) * it) }
        return PhoneReport(
            device, threads, parity, latency, limits.getDouble("latency_ms"), privateBytes, limits.getLong("memory_bytes"),
        )
    }

    /** The tensor that is compared. */
    private fun outputOf(signature: String) = when (signature) {
        MASKS -> EncoderBundle.REGION_MASKS
        WHOLE -> "embedding"
        else -> bundle.parts.getValue(signature).outputs.first()
    }

    /** One golden sample's output: of a part from PyTorch's own inputs, of "encode" from the image, ids and user on. */
    private fun output(engine: Engine, signature: String, golden: Golden, sample: Int): FloatArray {
        val buffers = bundle.tensors.mapValues { (name, spec) -> direct(spec.bytes).also { golden.copy(name, sample, it) } }
        val run = when (signature) {
            MASKS -> listOf("vision")
            WHOLE -> bundle.parts.keys
            else -> listOf(signature)
        }
        for (name in run) {
            val part = bundle.parts.getValue(name)
            engine.run(name, part.inputs.associateWith(buffers::getValue), part.outputs.associateWith(buffers::getValue))
        }
        val values = buffers.getValue(outputOf(signature)).apply { rewind() }.asFloatBuffer()
        return FloatArray(values.capacity()) { values.get(it) }
    }

    private fun row(signature: String, values: List<FloatArray>, golden: List<FloatArray>, limits: Map<String, Double>): ParityRow {
        val cosine = Metrics.cosine(values, golden)
        val centred = Metrics.meanCentredCosine(values, golden)
        val figures = mapOf(
            "max_abs" to Metrics.maxAbs(values, golden),
            "cosine_min" to cosine.min(),
            "cosine_mean" to cosine.average(),
            "mean_centred_cosine_min" to centred.min(),
            "mean_centred_cosine_mean" to centred.average(),
            "self_retrieval" to Metrics.selfRetrieval(values, golden),
        )
        val checks = limits.filterKeys { it == MAX_ABS || signature == WHOLE }.map { (metric, limit) ->
            val value = figures[metric] ?: throw BundleException("${bundle.source.name}: unknown parity limit $metric in the manifest")
            Check(metric, limit, value, if (metric == MAX_ABS) value <= limit else value >= limit)
        }
        return ParityRow(signature, values.size, figures, checks)
    }

    /** Times what an app does, at the size of a phone's screen, the first [WARM_UP] runs aside. */
    private fun latency(progress: (Double) -> Unit): List<LatencyRow> {
        val screenshot = Bitmap.createBitmap(SCREEN_WIDTH, SCREEN_HEIGHT, Bitmap.Config.ARGB_8888)
        val before = encoder.timing
        val times = StageTimes()
        encoder.timing = times
        try {
            for (run in -WARM_UP until RUNS) {
                if (run == 0) times.clear()
                progress((run + WARM_UP) / (RUNS + WARM_UP).toDouble())
                encoder.encode(screenshot, TYPED).await()
            }
        } finally {
            encoder.timing = before
            screenshot.recycle()
        }
        return StageTimes.SPANS.keys.map { span -> times.row(span) }
    }

    private companion object {
        const val WHOLE = "encode"
        const val MASKS = "regions" // how the Python runtime calls the row that compares the masks of `vision`
        const val MAX_ABS = "max_abs"
        const val PARITY_SHARE = 0.6
        const val WARM_UP = 3
        const val RUNS = 50
        const val SCREEN_WIDTH = 1080
        const val SCREEN_HEIGHT = 2340
        const val TYPED = "see you at the station at half past seven, bring the tickets please"

        fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
    }
}
