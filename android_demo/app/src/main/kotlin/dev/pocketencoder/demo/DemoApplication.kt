package dev.pocketencoder.demo

import android.app.Application
import dev.pocketencoder.EngineFactory
import dev.pocketencoder.TfliteEngine

/** Holds what outlives a rotated screen: the one session that both screens share. */
open class DemoApplication : Application() {
    /** What runs the model. */
    open val engines = EngineFactory { TfliteEngine(it, THREADS) }

    private var current: Session? = null

    /** The session, begun where there is none. */
    val session: Session get() = current ?: Session(this, engines).also { current = it }

    /** Ends the session, when the user leaves. */
    fun endSession() {
        current?.close()
        current = null
    }

    companion object {
        /** Threads that a run may use. */
        const val THREADS = 1
    }
}
