package dev.pocketencoder

import android.os.Handler
import android.os.Looper
import java.util.concurrent.Callable
import java.util.concurrent.CancellationException
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executor
import java.util.concurrent.FutureTask

/** Asked by work in progress whether to go on. */
internal class Stop {
    @Volatile
    var requested = false

    /** @throws CancellationException a stop was requested. */
    fun check() {
        if (requested) throw CancellationException("cancelled")
    }
}

/** Something that the encoder's own thread is working on: wait for it, be told of it, or cancel it. */
class Pending<T> private constructor(
    work: Callable<T>,
    private val stop: Stop,
    private val discard: (T) -> Unit,
) : FutureTask<T>(work) {
    private class Receiver<T>(val executor: Executor, val receive: (Result<T>) -> Unit)

    private val receivers = mutableListOf<Receiver<T>>()

    /**
     * Has the result delivered: a value, or an [EncoderException] that says why there is none.
     *
     * @param executor runs [receive]; by default the main thread does.
     * @param receive is not called where [cancel] was called before it.
     */
    fun onDone(executor: Executor = MAIN_THREAD, receive: (Result<T>) -> Unit): Pending<T> {
        val receiver = Receiver(executor, receive)
        synchronized(receivers) { receivers += receiver }
        if (isDone) deliver()
        return this
    }

    /**
     * Waits for the result; not on the main thread.
     *
     * @throws EncoderException there is none.
     * @throws CancellationException it was cancelled.
     */
    fun await(): T = try {
        get()
    } catch (error: ExecutionException) {
        throw error.cause ?: error
    }

    /** Cancels the work: at once where it has not begun, else before its next stage. What is known stays known. */
    fun cancel(): Boolean = cancel(false)

    override fun cancel(mayInterruptIfRunning: Boolean): Boolean {
        stop.requested = true
        return super.cancel(false) // a native run cannot be interrupted
    }

    override fun set(value: T) {
        super.set(value)
        if (isCancelled) discard(value)
    }

    override fun done() = deliver()

    private fun deliver() {
        val ready = synchronized(receivers) { receivers.toList().also { receivers.clear() } }
        if (isCancelled) return
        val result = runCatching { await() }
        for (receiver in ready) receiver.executor.execute { if (!stop.requested) receiver.receive(result) }
    }

    companion object {
        /** Runs things on the app's main thread, one after another. */
        val MAIN_THREAD: Executor = Executor { Handler(Looper.getMainLooper()).post(it) }

        /** @param discard takes a value that came too late, after [cancel]. */
        internal fun <T> of(discard: (T) -> Unit = {}, work: (Stop) -> T): Pending<T> =
            Stop().let { stop -> Pending({ work(stop) }, stop, discard) }

        internal fun <T> failed(error: EncoderException): Pending<T> = of<T> { throw error }.also { it.run() }
    }
}
