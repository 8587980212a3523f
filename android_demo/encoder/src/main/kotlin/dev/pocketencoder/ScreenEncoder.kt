package dev.pocketencoder

import android.content.Context
import android.graphics.Bitmap
import java.io.Closeable
import java.nio.ByteBuffer
import java.util.concurrent.Executors
import java.util.concurrent.ExecutorService
import java.util.concurrent.RejectedExecutionException
import java.util.concurrent.TimeUnit

/**
 * A candidate text and how well it fits the context.
 *
 * @property candidate the text.
 * @property score a cosine in [-1, 1].
 */
data class Ranked(val candidate: String, val score: Double)

/**
 * Where a region lies on a screen, softly: a number for each cell of a grid over the whole screen.
 *
 * @property height cells from top to bottom.
 * @property width cells from left to right.
 * @property values [height * width], row by row, from 0, outside, to 1, inside.
 */
class RegionMask(val height: Int, val width: Int, val values: FloatArray)

/**
 * Turns screenshots, typed text and a user vector into embeddings: the screen once, then the text at every keystroke.
 *
 * Every function returns at once; a thread of the encoder's own does the work, in the order of the calls. Call from
 * any thread, cancel what is no longer wanted, and [close] it in the end.
 *
 * A user vector is [64] finite numbers of any scale; null = unknown user. An embedding is [256] numbers of unit length.
 */
class ScreenEncoder private constructor(
    /** The bundle that it runs. */
    val bundle: EncoderBundle,
    private val engine: Engine,
    private val pipeline: Pipeline,
) : Closeable {
    private val worker: ExecutorService = Executors.newSingleThreadExecutor { work ->
        Thread(work, "pocket-encoder").apply { isDaemon = true }
    }

    private val remembered = object : LinkedHashMap<String, FloatArray>(16, 0.75f, true) {
        override fun removeEldestEntry(eldest: Map.Entry<String, FloatArray>) = size > REMEMBERED
    }

    @Volatile
    private var closed = false

    /** Told of the duration of every step. */
    var timing: TimingListener? by pipeline::listener

    /**
     * Looks at a screen and keeps what it saw for the texts that follow. Where it fails, the last screen stays.
     *
     * @param screenshot of any size and configuration; not to be recycled before this is done. Fails with
     * [ImageException] where it cannot be read.
     */
    fun onScreen(screenshot: Bitmap): Pending<Unit> = submit { stop -> pipeline.screen(screenshot, stop) }

    /**
     * Finds the parts of a screen, and keeps what it saw for the texts that follow, as [onScreen] does.
     *
     * @param screenshot as for [onScreen]. Fails with [RegionsException] where the bundle's model has fixed regions.
     * @return the masks of title, input, keyboard and status: [EncoderBundle.REGIONS].
     */
    fun regions(screenshot: Bitmap): Pending<Map<String, RegionMask>> = submit { stop -> pipeline.regions(screenshot, stop) }

    /**
     * The embedding of a text on the last screen.
     *
     * @param text what was typed so far, of any length.
     * @param user fails with [UserVectorException] where it cannot be used; with [NoScreenException] before any screen.
     */
    fun onText(text: String, user: FloatArray? = null): Pending<FloatArray> {
        val vector = user?.clone()
        return submit { stop -> pipeline.embed(text, vector, stop) }
    }

    /** [onScreen] and [onText] in one. */
    fun encode(screenshot: Bitmap, text: String, user: FloatArray? = null): Pending<FloatArray> {
        val vector = user?.clone()
        return submit { stop ->
            pipeline.checkUser(vector)
            pipeline.screen(screenshot, stop)
            pipeline.embed(text, vector, stop)
        }
    }

    /** The embedding of a text alone, without a screen or a user, to compare texts with each other. */
    fun textEmbedding(text: String): Pending<FloatArray> = submit { pipeline.textEmbedding(text) }

    /** [textEmbedding] of many texts, in their order; it can be cancelled between any two. */
    fun textEmbeddings(texts: List<String>): Pending<List<FloatArray>> {
        val given = texts.toList()
        return submit { stop ->
            given.map {
                stop.check()
                pipeline.textEmbedding(it)
            }
        }
    }

    /**
     * The tokens of many screens, as of an archive, [5 * 256] each, in their order; it can be cancelled between any two. The
     * screen that is kept for texts stays.
     *
     * @param screenshots as for [onScreen].
     */
    fun screenTokens(screenshots: List<Bitmap>): Pending<List<FloatArray>> {
        val given = screenshots.toList()
        return submit { stop -> given.map { pipeline.screenTokens(it, stop) } }
    }

    /**
     * Sorts texts by how well they fit the last screen, what was typed and who types.
     *
     * The latest [REMEMBERED] candidates are remembered, so that the same ones cost nothing at the next keystroke.
     *
     * @param text what was typed so far.
     * @param candidates whole texts, what was typed included. Fails with [CandidatesException] where there are none.
     * @return every candidate, best first, equal ones in the given order.
     */
    fun rank(text: String, candidates: List<String>, user: FloatArray? = null): Pending<List<Ranked>> {
        val vector = user?.clone()
        val texts = candidates.toList()
        return submit { stop ->
            if (texts.isEmpty()) throw CandidatesException("no candidates to rank: give at least one text")
            val context = pipeline.embed(text, vector, stop)
            texts.map { Ranked(it, cosine(context, candidate(it, stop))) }.sortedByDescending { it.score }
        }
    }

    /** Frees the model. Work in progress ends first, work that waits fails with [ClosedException]. Returns at once. */
    override fun close() {
        synchronized(worker) {
            if (closed) return
            closed = true
            worker.execute(engine::close)
            worker.shutdown()
        }
    }

    /** Waits until a closed encoder has freed the model; returns whether it has. */
    fun awaitClosed(timeoutMs: Long): Boolean = worker.awaitTermination(timeoutMs, TimeUnit.MILLISECONDS)

    /** Runs something with the one engine there is, between other work. */
    internal fun <T> withEngine(work: (Engine, Stop) -> T): Pending<T> = submit { stop -> work(engine, stop) }

    private fun candidate(text: String, stop: Stop): FloatArray = remembered[text] ?: run {
        stop.check()
        pipeline.textEmbedding(text).also { remembered[text] = it }
    }

    private fun cosine(one: FloatArray, other: FloatArray): Double {
        var sum = 0.0
        for (index in one.indices) sum += one[index].toDouble() * other[index]
        return sum.coerceIn(-1.0, 1.0)
    }

    private fun <T> submit(work: (Stop) -> T): Pending<T> {
        val pending = Pending.of { stop ->
            if (closed) throw closedError()
            stop.check()
            work(stop)
        }
        try {
            worker.execute(pending)
        } catch (_: RejectedExecutionException) {
            return Pending.failed(closedError())
        }
        return pending
    }

    private fun closedError() = ClosedException("the encoder is closed: open another one")

    companion object {
        /** Number of candidates whose embeddings an encoder keeps, the latest used: 1 MB. */
        const val REMEMBERED = 1024

        /** What runs a model on the device, with so many threads; tests run it with another one. */
        internal var deviceEngine: (ByteBuffer, Int) -> Engine = ::TfliteEngine

        /**
         * Opens a bundle from the app's assets: manifest, tokenizer's files and model from `assets/PRESET`, the model
         * mapped, not copied. It takes some tenths of a second: not on the main thread ([openAsync]).
         *
         * @param preset the folder's name.
         * @param threads threads that a run may use.
         * @throws BundleException a file is missing, altered or compressed, or the manifest is of another schema.
         * @throws EngineException the model cannot be opened, or its tensors are not the manifest's.
         */
        fun open(context: Context, preset: String, threads: Int = 1): ScreenEncoder =
            open(AssetSource(context.assets, preset)) { deviceEngine(it, threads) }

        /** Opens a bundle from anywhere, with any engine; throws as the other [open] does. */
        fun open(source: BundleSource, engines: EngineFactory): ScreenEncoder {
            val bundle = EncoderBundle.open(source)
            val engine = engines.open(bundle.map(bundle.model()))
            try {
                return ScreenEncoder(bundle, engine, Pipeline(bundle, engine))
            } catch (error: EncoderException) {
                engine.close()
                throw error
            }
        }

        /** [open] on a thread of its own. Where it is cancelled too late, what was opened is closed again. */
        fun openAsync(open: () -> ScreenEncoder): Pending<ScreenEncoder> {
            val pending = Pending.of(discard = ScreenEncoder::close) { open() }
            Thread(pending, "pocket-encoder-open").start()
            return pending
        }
    }
}
