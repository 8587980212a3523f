package dev.pocketencoder.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.text.TextPaint
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import dev.pocketencoder.check.LatencyRow
import kotlin.math.ceil

/** Median and 90th percentile of a screen and of a keystroke as bars, against the limit of a whole encode. */
class LatencyView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val bars = Paint(Paint.ANTI_ALIAS_FLAG)
    private val label = TextPaint(Paint.ANTI_ALIAS_FLAG).apply { textSize = sp(LABEL_SP) }
    private var rows: List<Pair<Int, LatencyRow>> = emptyList()
    private var limitMs = 0.0

    /** Shows the figures; null = not measured yet. */
    fun show(screen: LatencyRow?, keystroke: LatencyRow?, limitMs: Double) {
        this.limitMs = limitMs
        rows = listOfNotNull(screen?.let { R.string.latency_screen to it }, keystroke?.let { R.string.latency_keystroke to it })
        contentDescription = if (screen == null || keystroke == null) {
            context.getString(R.string.latency_title)
        } else {
            context.getString(
                R.string.latency_description, FiguresPart.ms(screen.p50Ms), FiguresPart.ms(screen.p90Ms),
                FiguresPart.ms(keystroke.p50Ms), FiguresPart.ms(keystroke.p90Ms), FiguresPart.plain(limitMs),
            )
        }
        invalidate()
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val height = ceil(ROWS * rowHeight()).toInt()
        setMeasuredDimension(getDefaultSize(suggestedMinimumWidth, widthMeasureSpec), resolveSize(height, heightMeasureSpec))
    }

    override fun onDraw(canvas: Canvas) {
        val longest = maxOf(limitMs, rows.maxOfOrNull { it.second.p90Ms } ?: 0.0) * HEADROOM
        if (longest <= 0) return
        fun x(ms: Double) = mirrored((ms / longest * width).toFloat())
        rows.forEachIndexed { index, (name, row) ->
            val top = index * rowHeight()
            val bar = top + rowHeight() * TEXT_SHARE
            val end = top + rowHeight() - sp(GAP_SP)
            text(canvas, top, name, row)
            span(canvas, R.color.track, 0f, width.toFloat(), bar, end)
            val over = row.p50Ms >= limitMs
            span(canvas, if (over) R.color.error_background else R.color.accent_soft, mirrored(0f), x(row.p90Ms), bar, end)
            span(canvas, if (over) R.color.fail else R.color.accent, mirrored(0f), x(row.p50Ms), bar, end)
            bars.color = context.getColor(R.color.limit)
            canvas.drawRect(x(limitMs) - sp(LINE_SP) / 2, bar - sp(LINE_SP), x(limitMs) + sp(LINE_SP) / 2, end + sp(LINE_SP), bars)
        }
    }

    private fun text(canvas: Canvas, top: Float, name: Int, row: LatencyRow) {
        val baseline = top - label.fontMetrics.ascent
        val rightToLeft = layoutDirection == LAYOUT_DIRECTION_RTL
        label.color = context.getColor(R.color.text)
        label.textAlign = if (rightToLeft) Paint.Align.RIGHT else Paint.Align.LEFT
        canvas.drawText(context.getString(name), mirrored(0f), baseline, label)
        label.color = context.getColor(R.color.text_dim)
        label.textAlign = if (rightToLeft) Paint.Align.LEFT else Paint.Align.RIGHT
        val figures = context.getString(R.string.latency_value, FiguresPart.ms(row.p50Ms), FiguresPart.ms(row.p90Ms))
        canvas.drawText(figures, mirrored(width.toFloat()), baseline, label)
    }

    private fun span(canvas: Canvas, color: Int, from: Float, to: Float, top: Float, bottom: Float) {
        val radius = (bottom - top) / 2
        bars.color = context.getColor(color)
        canvas.drawRoundRect(minOf(from, to), top, maxOf(from, to), bottom, radius, radius, bars)
    }

    private fun mirrored(x: Float) = if (layoutDirection == LAYOUT_DIRECTION_RTL) width - x else x

    private fun rowHeight() = sp(ROW_SP)

    private fun sp(size: Float) = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, size, resources.displayMetrics)

    private companion object {
        const val ROWS = 2
        const val ROW_SP = 38f
        const val LABEL_SP = 12f
        const val GAP_SP = 8f
        const val LINE_SP = 2f
        const val TEXT_SHARE = 0.48f
        const val HEADROOM = 1.15
    }
}
