package dev.pocketencoder.demo

import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import android.os.Build
import dev.pocketencoder.AssetSource
import dev.pocketencoder.EncoderException
import dev.pocketencoder.EngineFactory
import dev.pocketencoder.Pending
import dev.pocketencoder.RegionMask
import dev.pocketencoder.ScreenEncoder
import dev.pocketencoder.check.Memory
import dev.pocketencoder.check.PhoneCheck
import dev.pocketencoder.check.StageTimes
import java.io.Closeable
import java.util.concurrent.CancellationException
import java.util.concurrent.Executors

/**
 * Owns the encoder and what the user does with it. Everything here is called on the main thread, and every change of
 * [state] is told there; the work itself happens elsewhere.
 */
class Session(context: Context, private val engines: EngineFactory) : Closeable {
    private val app = context.applicationContext
    private val images = Executors.newSingleThreadExecutor { work -> Thread(work, "images").apply { isDaemon = true } }
    private val times = StageTimes()
    private val candidates = app.resources.openRawResource(R.raw.candidates).bufferedReader().useLines { it.toList() }
    private var content: DemoContent? = null
    private var encoder: ScreenEncoder? = null
    private var opening: Pending<ScreenEncoder>? = null
    private var typing: List<Pending<*>> = emptyList()
    private var user: FloatArray? = null
    private var loads = 0
    private var closed = false

    @Volatile
    private var stopCheck = false

    /** Told of every new state, beginning with the present one. */
    var observer: ((UiState) -> Unit)? = null
        set(value) {
            field = value
            value?.invoke(state)
        }

    /** What there is to show. */
    var state = UiState()
        private set(value) {
            field = value
            observer?.invoke(value)
        }

    init {
        open()
    }

    /** Opens the encoder, again where it failed before. */
    fun open() {
        state = state.copy(problem = null)
        opening = ScreenEncoder.openAsync {
            val content = DemoContent.read(app.assets).also { content = it }
            val before = Memory.privateBytes() ?: 0
            val encoder = ScreenEncoder.open(AssetSource(app.assets, content.preset), engines)
            encoder.encode(Bitmap.createBitmap(1, 1, Bitmap.Config.ARGB_8888), "").await() // a model grows when it first runs
            Memory.privateBytes()?.let { after -> if (firstPrivateBytes == null) firstPrivateBytes = after - before }
            encoder
        }.onDone { result -> result.onSuccess(::opened).onFailure(::failed) }
    }

    private fun opened(encoder: ScreenEncoder) {
        this.encoder = encoder
        encoder.timing = times
        val samples = content?.samples.orEmpty()
        val limits = encoder.bundle.manifest.getJSONObject("limits")
        state = state.copy(
            ready = true,
            samples = samples,
            privateBytes = firstPrivateBytes,
            latencyLimitMs = limits.getDouble("latency_ms"),
            memoryLimitBytes = limits.getLong("memory_bytes"),
        )
        loadThumbnails(samples)
        samples.firstOrNull()?.let(::select)
    }

    private fun loadThumbnails(samples: List<Sample>) = images.execute {
        val content = content ?: return@execute
        val thumbnails = samples.associate { it.id to content.load(it, THUMBNAIL_REDUCTION) }
        onMain { state = state.copy(thumbnails = thumbnails) }
    }

    /** Shows a sample and what is typed on it. */
    fun select(sample: Sample) {
        val content = content ?: return
        user = sample.user
        state = state.copy(selected = sample.id, title = sample.kind, text = sample.text)
        load(sample.kind) { content.load(sample) }
    }

    /** Shows a screenshot of the user's own. */
    fun select(image: Uri) {
        user = null
        load(app.getString(R.string.own_image), ownImage = true) { OwnImage.read(app, image) }
    }

    /** Goes on with another text. */
    fun type(text: String) {
        if (text == state.text) return
        state = state.copy(text = text)
        if (state.screenshot != null) encodeText()
    }

    /** Takes a message away. */
    fun dismissProblem() {
        state = state.copy(problem = null)
    }

    private fun load(title: String, ownImage: Boolean = false, read: () -> Bitmap) {
        val number = ++loads
        images.execute {
            val result = runCatching(read)
            onMain {
                if (number != loads) return@onMain // another one was chosen meanwhile
                result.onSuccess { bitmap -> show(bitmap, title, ownImage) }.onFailure(::failed)
            }
        }
    }

    private fun show(bitmap: Bitmap, title: String, ownImage: Boolean) {
        val encoder = encoder ?: return
        val finds = encoder.bundle.hasMasks
        state = state.copy(screenshot = bitmap, masks = if (finds) emptyMap() else null, title = title, problem = null)
        if (ownImage) state = state.copy(selected = null, text = "") // what was typed belongs to another screen
        if (finds) {
            encoder.regions(bitmap).onDone { result -> result.onSuccess { found(bitmap, it) }.onFailure(::failed) }
        } else {
            encoder.onScreen(bitmap).onDone { result -> result.onFailure(::failed) }
        }
        encodeText()
    }

    private fun found(bitmap: Bitmap, masks: Map<String, RegionMask>) {
        if (state.screenshot === bitmap) state = state.copy(masks = masks) // else another one was shown meanwhile
    }

    /** Drops what an earlier keystroke still waits for: only the latest counts. */
    private fun encodeText() {
        val encoder = encoder ?: return
        typing.forEach { it.cancel() }
        val text = state.text
        val embedding = encoder.onText(text, user).onDone { result ->
            result.onSuccess { state = state.copy(embedding = it, screen = times.row("screen"), keystroke = times.row("keystroke")) }
                .onFailure(::failed)
        }
        val ranking = encoder.rank(text, candidates, user).onDone { result -> result.onSuccess { state = state.copy(ranked = it) } }
        typing = listOf(embedding, ranking)
    }

    /** Begins "Check this phone", unless it runs. */
    fun startCheck() {
        val encoder = encoder ?: return
        if (state.check is CheckState.Running) return
        stopCheck = false
        state = state.copy(check = CheckState.Running(0))
        val device = "${Build.MANUFACTURER} ${Build.MODEL}, Android ${Build.VERSION.RELEASE}"
        val check = PhoneCheck(encoder, device, DemoApplication.THREADS, state.privateBytes)
        Thread({
            val end = try {
                CheckState.Done(check.run(::onCheckProgress))
            } catch (_: CancellationException) {
                CheckState.Idle
            } catch (error: EncoderException) {
                CheckState.Failed(error.message.orEmpty())
            }
            onMain { state = state.copy(check = end) }
        }, "check").start()
    }

    private fun onCheckProgress(share: Double) {
        if (stopCheck) throw CancellationException("stopped")
        val percent = (share * 100).toInt()
        onMain { if (!stopCheck && state.check != CheckState.Running(percent)) state = state.copy(check = CheckState.Running(percent)) }
    }

    /** Stops "Check this phone". */
    fun stopCheck() {
        stopCheck = true
    }

    private fun failed(error: Throwable) {
        val message = if (error is EncoderException) error.message.orEmpty() else app.getString(R.string.error_internal, error.toString())
        state = state.copy(problem = Problem(message, canRetry = encoder == null))
    }

    private fun onMain(work: () -> Unit) = Pending.MAIN_THREAD.execute { if (!closed) work() }

    override fun close() {
        closed = true
        stopCheck = true
        observer = null
        images.shutdown()
        opening?.let { if (!it.cancel() && !it.isCancelled) runCatching { it.await() }.onSuccess(ScreenEncoder::close) }
    }

    private companion object {
        const val THUMBNAIL_REDUCTION = 8

        /** What the first encoder of this process added: a later one would take the memory that it left. */
        @Volatile
        var firstPrivateBytes: Long? = null
    }
}
