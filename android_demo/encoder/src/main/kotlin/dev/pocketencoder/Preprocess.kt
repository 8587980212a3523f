package dev.pocketencoder

import android.graphics.Bitmap
import java.nio.ByteBuffer

/**
 * From a screenshot of any size to the bytes that the model takes, in integers only: the twin of the Python
 * runtime's `preprocess.py`, which has the definition. Not for two threads at once.
 *
 * A row of the screenshot is first summed into the columns of the output, then added to the one or more output
 * rows that it reaches into; sums are exact, so that the order does not matter.
 *
 * @param height of the output, in pixels.
 * @param width of the output, in pixels.
 */
class Preprocess(private val height: Int, private val width: Int) {
    private val rowSums = LongArray(width * CHANNELS) // one source row, in units of 1 / source width
    private val cellSums = LongArray(width * CHANNELS) // the output row in progress, in units of 1 / source pixels
    private val edges = IntArray(width + 1) // the source column that each output column begins in,
    private val parts = IntArray(width + 1) // and how much of it lies before, in units of 1 / width
    private var strip = IntArray(0)

    /**
     * Resizes a whole screenshot by the exact area average, without keeping its aspect.
     *
     * Transparent pixels are laid over black: (colour * alpha + 127) / 255, rounded down. Colours are sRGB.
     *
     * @param screenshot of any configuration and size up to [MAX_PIXELS].
     * @param into takes [height, width, 3] bytes, RGB, from its start.
     * @param stopped asked now and then; once true, the rest is left undone.
     * @return whether all of it was done.
     * @throws ImageException the bitmap is recycled, empty or too large.
     */
    fun resize(screenshot: Bitmap, into: ByteBuffer, stopped: () -> Boolean = { false }): Boolean {
        check(screenshot)
        if (screenshot.config != Bitmap.Config.HARDWARE) return resizeReadable(screenshot, into, stopped)
        val copy = screenshot.copy(Bitmap.Config.ARGB_8888, false)
            ?: throw ImageException("the hardware bitmap cannot be read: copy it to ARGB_8888 before encoding it")
        try {
            return resizeReadable(copy, into, stopped)
        } finally {
            copy.recycle()
        }
    }

    private fun check(screenshot: Bitmap) {
        if (screenshot.isRecycled) throw ImageException("the bitmap is recycled: keep it until its encoding is done")
        val w = screenshot.width
        val h = screenshot.height
        if (w < 1 || h < 1) throw ImageException("the bitmap has no pixels (${w}x$h)")
        if (w.toLong() * h > MAX_PIXELS) {
            val limit = "the ${MAX_PIXELS / 1_000_000} million that are read"
            throw ImageException("the bitmap has ${w}x$h pixels, more than $limit; scale it down first")
        }
    }

    private fun resizeReadable(bitmap: Bitmap, into: ByteBuffer, stopped: () -> Boolean): Boolean {
        val w = bitmap.width
        val h = bitmap.height
        for (column in 0..width) {
            val edge = column.toLong() * w
            edges[column] = (edge / width).toInt()
            parts[column] = (edge % width).toInt()
        }
        cellSums.fill(0)
        val rows = (STRIP_PIXELS / w).coerceIn(1, h) // a strip at a time, so that no copy of the whole is made
        if (strip.size < rows * w) strip = IntArray(rows * w)
        var output = 0
        for (top in 0 until h step rows) {
            if (stopped()) return false
            val count = minOf(rows, h - top)
            try {
                bitmap.getPixels(strip, 0, w, 0, top, w, count)
            } catch (error: IllegalStateException) {
                throw ImageException("the bitmap was recycled while it was read: keep it until its encoding is done", error)
            }
            if (bitmap.hasAlpha()) layOverBlack(strip, count * w)
            for (row in 0 until count) {
                sumColumns(row * w, w)
                output = addRow(top + row, h, w.toLong() * h, output, into)
            }
        }
        return true
    }

    private fun layOverBlack(pixels: IntArray, count: Int) {
        for (index in 0 until count) {
            val pixel = pixels[index]
            val alpha = pixel ushr 24
            if (alpha != OPAQUE) {
                pixels[index] = (over(pixel shr 16 and BYTE, alpha) shl 16) or
                    (over(pixel shr 8 and BYTE, alpha) shl 8) or over(pixel and BYTE, alpha)
            }
        }
    }

    private fun over(colour: Int, alpha: Int) = (colour * alpha + 127) / 255

    /** Sums a source row into [rowSums]: whole pixels, less what lies before the first, plus what is in the last. */
    private fun sumColumns(start: Int, w: Int) {
        val pixels = strip
        var place = 0
        for (column in 0 until width) {
            val first = edges[column]
            val end = edges[column + 1]
            var red = 0L
            var green = 0L
            var blue = 0L
            var q = first
            while (q < end) {
                var reds = 0
                var greens = 0
                var blues = 0
                val stop = minOf(end, q + CHUNK)
                while (q < stop) {
                    val pixel = pixels[start + q++]
                    reds += pixel shr 16 and BYTE
                    greens += pixel shr 8 and BYTE
                    blues += pixel and BYTE
                }
                red += reds
                green += greens
                blue += blues
            }
            val before = pixels[start + first]
            val after = pixels[start + minOf(end, w - 1)] // its share is 0 where the row ends
            val less = parts[column]
            val more = parts[column + 1]
            rowSums[place++] = red * width - less * (before shr 16 and BYTE) + more * (after shr 16 and BYTE)
            rowSums[place++] = green * width - less * (before shr 8 and BYTE) + more * (after shr 8 and BYTE)
            rowSums[place++] = blue * width - less * (before and BYTE) + more * (after and BYTE)
        }
    }

    /** Adds [rowSums] to each output row that source row [p] reaches into; returns the one then in progress. */
    private fun addRow(p: Int, h: Int, area: Long, from: Int, into: ByteBuffer): Int {
        var output = from
        val begin = p.toLong() * height
        val end = begin + height
        while (true) {
            val top = output.toLong() * h
            val bottom = top + h
            val covered = minOf(end, bottom) - maxOf(begin, top)
            for (index in cellSums.indices) cellSums[index] += covered * rowSums[index]
            if (bottom > end) return output
            write(output++, area, into)
            if (bottom == end) return output
        }
    }

    private fun write(output: Int, area: Long, into: ByteBuffer) {
        val start = output * cellSums.size
        for (index in cellSums.indices) {
            into.put(start + index, ((2 * cellSums[index] + area) / (2 * area)).toByte())
            cellSums[index] = 0
        }
    }

    companion object {
        /** Number of pixels of the largest screenshot that is read. */
        const val MAX_PIXELS = 64_000_000
        private const val CHANNELS = 3
        private const val BYTE = 0xFF
        private const val OPAQUE = 0xFF
        private const val STRIP_PIXELS = 1 shl 16
        private const val CHUNK = 1 shl 20 // so many bytes add up in 32 bits
    }
}
