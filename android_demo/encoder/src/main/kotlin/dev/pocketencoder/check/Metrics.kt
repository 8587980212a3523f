package dev.pocketencoder.check

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.sqrt

/**
 * How close outputs are to golden ones: the twin of the Python runtime's `metrics.py`. Rows are [N][size], computed
 * in doubles.
 */
object Metrics {
    private const val TIE = 1e-9

    /** Largest absolute difference of any element. */
    fun maxAbs(values: List<FloatArray>, golden: List<FloatArray>): Double =
        values.zip(golden).maxOf { (value, target) -> value.indices.maxOf { abs(value[it].toDouble() - target[it]) } }

    /** Cosine of each row with its golden row. */
    fun cosine(values: List<FloatArray>, golden: List<FloatArray>): List<Double> =
        values.zip(golden) { value, target -> cosine(doubles(value), doubles(target)) }

    /** Cosine of each row with its golden row, both less the mean golden row. */
    fun meanCentredCosine(values: List<FloatArray>, golden: List<FloatArray>): List<Double> {
        val mean = mean(golden)
        return values.zip(golden) { value, target -> cosine(less(value, mean), less(target, mean)) }
    }

    /** Share of rows whose nearest golden row, by mean-centred cosine, is their own; a tie counts as found. */
    fun selfRetrieval(values: List<FloatArray>, golden: List<FloatArray>): Double {
        val mean = mean(golden)
        val targets = golden.map { less(it, mean) }
        val found = values.indices.count { row ->
            val similarities = less(values[row], mean).let { value -> targets.map { cosine(value, it) } }
            similarities[row] >= similarities.max() - TIE
        }
        return found.toDouble() / values.size
    }

    private fun mean(rows: List<FloatArray>) = DoubleArray(rows[0].size) { index -> rows.sumOf { it[index].toDouble() } / rows.size }

    private fun doubles(row: FloatArray) = DoubleArray(row.size) { row[it].toDouble() }

    private fun less(row: FloatArray, mean: DoubleArray) = DoubleArray(row.size) { row[it] - mean[it] }

    /** Where one is all zeros 0, where both are 1. */
    private fun cosine(one: DoubleArray, other: DoubleArray): Double {
        val (a, b) = norm(one) to norm(other)
        if (a == 0.0 || b == 0.0) return if (a == b) 1.0 else 0.0
        var sum = 0.0
        for (index in one.indices) sum += one[index] * other[index]
        return sum / max(a * b, Double.MIN_VALUE)
    }

    private fun norm(row: DoubleArray) = sqrt(row.sumOf { it * it })
}
