package dev.pocketencoder.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.view.View

/** A share of a whole as a bar, with a mark for a limit. It is described where it is used. */
class BarView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG)
    private var share = 0f
    private var limit: Float? = null

    init {
        importantForAccessibility = IMPORTANT_FOR_ACCESSIBILITY_NO
    }

    /** Shows a share of the width, in [0, 1], and where a limit lies; beyond it the bar is of another colour. */
    fun show(share: Float, limit: Float?) {
        this.share = share.coerceIn(0f, 1f)
        this.limit = limit
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        if (layoutDirection == LAYOUT_DIRECTION_RTL) canvas.scale(-1f, 1f, width / 2f, 0f)
        val radius = height / 2f
        bar(canvas, R.color.track, width.toFloat(), radius)
        val mark = limit
        bar(canvas, if (mark != null && share > mark) R.color.fail else R.color.accent, share * width, radius)
        if (mark != null) {
            paint.color = context.getColor(R.color.text)
            canvas.drawRect(mark * width - 1, 0f, mark * width + 1, height.toFloat(), paint)
        }
    }

    private fun bar(canvas: Canvas, color: Int, end: Float, radius: Float) {
        paint.color = context.getColor(color)
        if (end > 0) canvas.drawRoundRect(0f, 0f, maxOf(end, 2 * radius), height.toFloat(), radius, radius, paint)
    }
}
