package dev.pocketencoder.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import android.net.Uri
import android.provider.OpenableColumns
import dev.pocketencoder.ImageException
import dev.pocketencoder.Preprocess
import java.io.IOException

/** Reads an image that the user picked. */
object OwnImage {
    private const val MILLION = 1_000_000

    /**
     * Decodes it upright, in sRGB and in memory that can be read.
     *
     * @throws ImageException not an image, or too large; the message is for the user.
     */
    fun read(context: Context, image: Uri): Bitmap {
        val name = displayName(context, image)
        try {
            return ImageDecoder.decodeBitmap(ImageDecoder.createSource(context.contentResolver, image)) { decoder, info, _ ->
                if (info.size.width.toLong() * info.size.height > Preprocess.MAX_PIXELS) {
                    throw ImageException(context.getString(R.string.error_image_large, name, Preprocess.MAX_PIXELS / MILLION))
                }
                decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
                decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
            }
        } catch (error: IOException) {
            throw ImageException(context.getString(R.string.error_image, name), error)
        } catch (error: SecurityException) {
            throw ImageException(context.getString(R.string.error_image, name), error)
        } catch (error: OutOfMemoryError) {
            throw ImageException(context.getString(R.string.error_memory, name), error)
        }
    }

    private fun displayName(context: Context, image: Uri): String {
        val cursor = try {
            context.contentResolver.query(image, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)
        } catch (_: SecurityException) {
            null
        }
        return cursor?.use { if (it.moveToFirst()) it.getString(0) else null } ?: image.lastPathSegment.orEmpty()
    }
}
