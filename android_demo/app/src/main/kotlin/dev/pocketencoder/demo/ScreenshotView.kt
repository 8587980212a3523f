package dev.pocketencoder.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.RectF
import android.text.TextPaint
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import dev.pocketencoder.EncoderBundle
import dev.pocketencoder.RegionMask
import kotlin.math.min
import kotlin.math.roundToInt

/**
 * The smallest box around the cells that lie inside of a region for the most part, as fractions of the screen; null where
 * there are none.
 */
internal fun RegionMask.box(): RectF? {
    val inside = values.indices.filter { values[it] >= MOSTLY }
    if (inside.isEmpty()) return null
    val (w, h) = width.toFloat() to height.toFloat()
    val rows = inside.map { it / width }
    val columns = inside.map { it % width }
    return RectF(columns.min() / w, rows.min() / h, (columns.max() + 1) / w, (rows.max() + 1) / h)
}

private const val MOSTLY = 0.5f

/** A screenshot with the four regions that the encoder looks at besides the whole. */
class ScreenshotView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    /** Top, bottom, left and right as fractions of the screen where regions are fixed: the encoder's `REGION_BOXES`. */
    enum class Region(val top: Float, val bottom: Float, val left: Float, val right: Float, val label: Int, val color: Int) {
        TITLE(0f, 0.5f, 0f, 1f, R.string.region_title, 0xFF3355D8.toInt()),
        INPUT(0.5f, 1f, 0.25f, 0.75f, R.string.region_input, 0xFFC4501B.toInt()),
        KEYBOARD(0.5f, 1f, 0f, 1f, R.string.region_keyboard, 0xFF1B7A43.toInt()),
        STATUS(0f, 0.25f, 0f, 1f, R.string.region_status, 0xFF8A2BB0.toInt());

        /** How the encoder calls it. */
        val key get() = EncoderBundle.REGIONS[ordinal]
    }

    private val picture = Paint(Paint.FILTER_BITMAP_FLAG)
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply { style = Paint.Style.STROKE; strokeWidth = dp(LINE_DP) }
    private val tag = Paint(Paint.ANTI_ALIAS_FLAG)
    private val label = TextPaint(Paint.ANTI_ALIAS_FLAG).apply { textSize = dp(LABEL_DP); color = LABEL_COLOR }
    private val frame = RectF()
    private val box = RectF()
    private var screenshot: Bitmap? = null
    private var boxes: Map<Region, RectF> = emptyMap()

    init {
        show(null, "", null)
    }

    /**
     * Shows a screenshot; null = none yet.
     *
     * @param masks of the regions by name, those that were found; null = they are fixed.
     */
    fun show(screenshot: Bitmap?, title: String, masks: Map<String, RegionMask>?) {
        boxes = Region.values().mapNotNull { region ->
            val box = if (masks == null) region.run { RectF(left, top, right, bottom) } else masks[region.key]?.box()
            box?.let { region to it }
        }.toMap()
        if (this.screenshot !== screenshot) requestLayout()
        this.screenshot = screenshot
        contentDescription =
            if (screenshot == null) context.getString(R.string.screen_none) else context.getString(R.string.screen_description, title)
        invalidate()
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val width = getDefaultSize(suggestedMinimumWidth, widthMeasureSpec)
        val aspect = screenshot?.let { it.height.toFloat() / it.width } ?: EMPTY_ASPECT
        setMeasuredDimension(width, resolveSize((width * min(aspect, LONGEST_ASPECT)).roundToInt(), heightMeasureSpec))
    }

    override fun onDraw(canvas: Canvas) {
        val shown = screenshot
        fitFrame(shown)
        if (shown == null) {
            tag.color = context.getColor(R.color.track)
            canvas.drawRoundRect(frame, dp(CORNER_DP), dp(CORNER_DP), tag)
            return
        }
        canvas.drawBitmap(shown, null, frame, picture)
        for ((region, place) in boxes) drawRegion(canvas, region, place, dp(LINE_DP) * (region.ordinal + 1))
    }

    private fun fitFrame(shown: Bitmap?) {
        val aspect = shown?.let { it.height.toFloat() / it.width } ?: EMPTY_ASPECT
        val fitted = min(width.toFloat(), height / aspect)
        val left = (width - fitted) / 2
        frame.set(left, 0f, left + fitted, fitted * aspect)
    }

    /** Boxes overlap, so each lies a little further inside, with its name in a corner of its own. */
    private fun drawRegion(canvas: Canvas, region: Region, place: RectF, inset: Float) {
        box.set(
            frame.left + place.left * frame.width(), frame.top + place.top * frame.height(),
            frame.left + place.right * frame.width(), frame.top + place.bottom * frame.height(),
        )
        box.inset(inset, inset)
        line.color = region.color
        canvas.drawRect(box, line)
        val name = context.getString(region.label)
        val height = label.textSize * TAG_HEIGHT
        val width = label.measureText(name) + height / 2
        val atBottom = region == Region.TITLE || region == Region.KEYBOARD
        val top = if (atBottom) box.bottom - height else box.top
        tag.color = region.color
        canvas.drawRect(box.left, top, box.left + width, top + height, tag)
        canvas.drawText(name, box.left + height / 4, top + height - label.textSize * TAG_BASELINE, label)
    }

    private fun dp(size: Float) = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_DIP, size, resources.displayMetrics)

    private companion object {
        const val EMPTY_ASPECT = 13f / 6
        const val LONGEST_ASPECT = 2.5f
        const val LINE_DP = 2f
        const val LABEL_DP = 10f
        const val CORNER_DP = 12f
        const val TAG_HEIGHT = 1.5f
        const val TAG_BASELINE = 0.4f
        const val LABEL_COLOR = 0xFFFFFFFF.toInt()
    }
}
