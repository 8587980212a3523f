package dev.pocketencoder.check

import dev.pocketencoder.Stage
import dev.pocketencoder.TimingListener

/** Keeps the latest durations of what a user waits for: "screen", "keystroke", and "encode", the latest of both together. */
class StageTimes(private val kept: Int = 200) : TimingListener {
    private val pending = mutableMapOf<Stage, Long>()
    private val spans = SPANS.keys.associateWith { ArrayDeque<Double>() }

    /** Adds a step. A span is complete with its last one. */
    @Synchronized
    override fun onStage(stage: Stage, nanoseconds: Long) {
        pending[stage] = nanoseconds
        for ((span, stages) in SPANS) {
            if (stage == stages.last() && pending.keys.containsAll(stages)) {
                val times = spans.getValue(span)
                times += stages.sumOf(pending::getValue) / NS_PER_MS
                if (times.size > kept) times.removeFirst()
            }
        }
        if (stage == Stage.FUSE) pending.keys.removeAll(listOf(Stage.TOKENIZE, Stage.TEXT, Stage.FUSE))
    }

    /** Forgets everything. */
    @Synchronized
    fun clear() {
        pending.clear()
        spans.values.forEach { it.clear() }
    }

    /** Median and 90th percentile of a span, nearest rank; zeros before its first run. */
    @Synchronized
    fun row(span: String): LatencyRow {
        val sorted = spans.getValue(span).sorted()
        fun at(share: Double) = sorted.getOrElse((share * (sorted.size - 1) + 0.5).toInt()) { 0.0 }
        return LatencyRow(span, at(0.5), at(0.9), sorted.size)
    }

    companion object {
        private const val NS_PER_MS = 1e6
        private val SCREEN = listOf(Stage.PREPROCESS, Stage.VISION)
        private val KEYSTROKE = listOf(Stage.TOKENIZE, Stage.TEXT, Stage.FUSE)

        /** The stages that make up each span. */
        val SPANS: Map<String, List<Stage>> = mapOf("screen" to SCREEN, "keystroke" to KEYSTROKE, "encode" to SCREEN + KEYSTROKE)
    }
}
