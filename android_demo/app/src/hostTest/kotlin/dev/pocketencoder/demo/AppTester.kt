package dev.pocketencoder.demo

import android.app.Activity
import android.content.ContentProvider
import android.content.ContentValues
import android.database.MatrixCursor
import android.graphics.Bitmap
import android.graphics.Canvas
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import android.view.View
import android.view.ViewGroup
import dev.pocketencoder.EngineFactory
import dev.pocketencoder.Fixtures
import dev.pocketencoder.LiteRtEngine
import org.robolectric.RuntimeEnvironment
import java.io.File

/** The app with the engine of this machine. */
class HostApplication : DemoApplication() {
    var opened = 0

    /** Thrown instead of opening, once. */
    var failure: RuntimeException? = null

    override val engines = EngineFactory { model ->
        opened++
        failure?.let { problem -> failure = null; throw problem }
        LiteRtEngine(model)
    }
}

/** Hands out files by name, as a file picker's provider does. */
class FileProvider : ContentProvider() {
    override fun onCreate() = true
    override fun getType(uri: Uri) = "image/*"
    override fun insert(uri: Uri, values: ContentValues?): Uri? = null
    override fun delete(uri: Uri, selection: String?, arguments: Array<String>?) = 0
    override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<String>?) = 0

    override fun query(uri: Uri, columns: Array<String>?, selection: String?, arguments: Array<String>?, order: String?) =
        MatrixCursor(arrayOf(OpenableColumns.DISPLAY_NAME)).apply { addRow(arrayOf(File(uri.path!!).name)) }

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor =
        ParcelFileDescriptor.open(File(uri.path!!), ParcelFileDescriptor.MODE_READ_ONLY)

    companion object {
        const val AUTHORITY = "dev.pocketencoder.demo.test"

        fun uri(file: File): Uri = Uri.Builder().scheme("content").authority(AUTHORITY).path(file.path).build()
    }
}

val app get() = RuntimeEnvironment.getApplication() as HostApplication

/** Draws what an activity shows into build/android/screenshots/[name].png. */
fun capture(activity: Activity, name: String) {
    val view = activity.window.decorView
    if (view.width == 0) layOut(view) // Robolectric does not, once an activity was made anew
    val bitmap = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
    view.draw(Canvas(bitmap))
    val file = File(Fixtures.work, "screenshots/$name.png").apply { parentFile!!.mkdirs() }
    file.outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
}

private fun layOut(view: View) {
    val size = view.resources.displayMetrics
    fun exactly(pixels: Int) = View.MeasureSpec.makeMeasureSpec(pixels, View.MeasureSpec.EXACTLY)
    view.measure(exactly(size.widthPixels), exactly(size.heightPixels))
    view.layout(0, 0, size.widthPixels, size.heightPixels)
}

/** Every visible view below this one, itself included. */
fun View.visible(): List<View> = when {
    visibility != View.VISIBLE -> emptyList()
    this is ViewGroup -> listOf(this) + (0 until childCount).flatMap { getChildAt(it).visible() }
    else -> listOf(this)
}
