package dev.pocketencoder.demo

import android.app.Activity
import android.view.View
import android.widget.TextView
import java.util.Locale

/** The embedding, latency and memory, as the main screen shows them. */
class FiguresPart(private val activity: Activity) {
    private val embedding = activity.findViewById<EmbeddingView>(R.id.embedding)
    private val latency = activity.findViewById<LatencyView>(R.id.latency)
    private val legend = activity.findViewById<TextView>(R.id.latency_legend)
    private val memoryCard = activity.findViewById<View>(R.id.memory_card)
    private val memoryText = activity.findViewById<TextView>(R.id.memory_text)
    private val memoryBar = activity.findViewById<BarView>(R.id.memory_bar)

    /** Shows the figures of a state. */
    fun render(state: UiState) {
        embedding.show(state.embedding)
        latency.show(state.screen, state.keystroke, state.latencyLimitMs)
        legend.text = activity.getString(R.string.latency_legend, plain(state.latencyLimitMs))
        renderMemory(state)
    }

    private fun renderMemory(state: UiState) {
        val bytes = state.privateBytes
        val limit = megabytes(state.memoryLimitBytes)
        memoryCard.visibility = if (state.ready) View.VISIBLE else View.GONE
        memoryBar.visibility = if (bytes == null) View.GONE else View.VISIBLE
        if (bytes == null) {
            memoryText.setText(R.string.memory_none)
            memoryCard.contentDescription = null
            return
        }
        memoryText.text = activity.getString(R.string.memory_value, megabytes(bytes), limit)
        memoryBar.show(bytes / (MEMORY_SPAN * state.memoryLimitBytes).toFloat(), 1f / MEMORY_SPAN)
        memoryCard.contentDescription = activity.getString(R.string.memory_description, megabytes(bytes), limit)
    }

    companion object {
        private const val MEMORY_SPAN = 2 // the bar's end, in limits
        private const val MB = 1e6

        /** A size in megabytes. */
        fun megabytes(bytes: Long): String = String.format(Locale.getDefault(), "%.1f", bytes / MB)

        /** A duration in milliseconds. */
        fun ms(value: Double): String = String.format(Locale.getDefault(), "%.1f", value)

        /** A limit, without decimals where it has none. */
        fun plain(value: Double): String =
            if (value % 1 == 0.0) String.format(Locale.getDefault(), "%d", value.toLong()) else ms(value)
    }
}
