package dev.pocketencoder.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.view.View
import java.util.Locale
import kotlin.math.abs

/** An embedding as a strip: a bar a number, up and down from the middle. */
class EmbeddingView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val paint = Paint()
    private var values: FloatArray? = null

    init {
        show(null)
    }

    /** Shows an embedding, [256]; null = none yet. */
    fun show(embedding: FloatArray?) {
        values = embedding
        contentDescription = if (embedding == null) {
            context.getString(R.string.embedding_none)
        } else {
            context.getString(R.string.embedding_description, embedding.size, number(embedding.min()), number(embedding.max()))
        }
        invalidate()
    }

    private fun number(value: Float) = String.format(Locale.getDefault(), "%+.2f", value)

    override fun onDraw(canvas: Canvas) {
        val middle = height / 2f
        val shown = values
        paint.color = context.getColor(R.color.card_line)
        canvas.drawRect(0f, middle - 0.5f, width.toFloat(), middle + 0.5f, paint)
        val largest = shown?.maxOf { abs(it) } ?: return
        val step = width.toFloat() / shown.size
        for (index in shown.indices) {
            val tip = middle - shown[index] / largest * middle
            paint.color = context.getColor(if (shown[index] > 0) R.color.positive else R.color.negative)
            canvas.drawRect(index * step, minOf(tip, middle), index * step + maxOf(step * GAP, 1f), maxOf(tip, middle), paint)
        }
    }

    private companion object {
        const val GAP = 0.8f
    }
}
