package dev.pocketencoder.check

import org.json.JSONArray
import org.json.JSONObject

/** A metric against its limit. */
data class Check(val metric: String, val limit: Double, val value: Double, val passed: Boolean)

/** One signature against PyTorch's golden outputs; the figures by the names that the Python runtime prints. */
data class ParityRow(val signature: String, val samples: Int, val figures: Map<String, Double>, val checks: List<Check>) {
    /** Whether every check passed. */
    val passed: Boolean get() = checks.all { it.passed }
}

/** Milliseconds of a stage: "screen" (preprocessing and vision), "keystroke" (tokenizing, text and fuse) or "encode" (both). */
data class LatencyRow(val stage: String, val p50Ms: Double, val p90Ms: Double, val runs: Int)

/**
 * What a phone is worth, measured on it.
 *
 * @property device how it is called.
 * @property parity one row a signature, and "encode", the composition.
 * @property latency one row a stage.
 * @property latencyLimitMs of "encode" at its median, from the manifest.
 * @property privateBytes private memory that opening and running the encoder added; null where it was not measured.
 * @property memoryLimitBytes of [privateBytes], from the manifest.
 */
data class PhoneReport(
    val device: String,
    val threads: Int,
    val parity: List<ParityRow>,
    val latency: List<LatencyRow>,
    val latencyLimitMs: Double,
    val privateBytes: Long?,
    val memoryLimitBytes: Long,
) {
    /** Whether every parity limit holds. */
    val parityPassed: Boolean get() = parity.all { it.passed }

    /** Whether a whole encode is under its limit at the median. */
    val latencyPassed: Boolean get() = latency.first { it.stage == "encode" }.p50Ms < latencyLimitMs

    /** Whether the private memory is under its limit; null where it was not measured. */
    val memoryPassed: Boolean? get() = privateBytes?.let { it < memoryLimitBytes }

    /** The report as `python -m runtime parity --json` prints parity and `bench --json` latency and memory. */
    fun toJson(): JSONObject = JSONObject()
        .put("rows", JSONArray(parity.map(::parityJson)))
        .put("passed", parityPassed)
        .put("machine", device)
        .put("latency", JSONArray(latency.map(::latencyJson)))
        .put("memory", JSONArray().put(model().put("private_bytes", privateBytes ?: JSONObject.NULL)))
        .put("limits", JSONObject().put("latency_ms", latencyLimitMs).put("memory_bytes", memoryLimitBytes))

    private fun model() = JSONObject().put("engine", "tflite").put("precision", "int8")

    private fun parityJson(row: ParityRow): JSONObject {
        val json = model().put("signature", row.signature).put("samples", row.samples)
        row.figures.forEach { (name, value) -> json.put(name, number(value)) }
        val checks = row.checks.map {
            JSONObject().put("metric", it.metric).put("limit", it.limit).put("value", number(it.value)).put("passed", it.passed)
        }
        return json.put("checks", JSONArray(checks)).put("passed", row.passed)
    }

    private fun latencyJson(row: LatencyRow) = model().put("threads", threads).put("stage", row.stage)
        .put("p50_ms", row.p50Ms).put("p90_ms", row.p90Ms).put("runs", row.runs)

    private fun number(value: Double): Any = if (value.isFinite()) value else JSONObject.NULL
}
