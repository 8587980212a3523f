package dev.pocketencoder

import android.content.res.AssetManager
import java.io.File
import java.io.FileInputStream
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/** Where a bundle's files are. */
interface BundleSource {
    /** How errors name it. */
    val name: String

    /** @throws IOException there is no such file, or it cannot be read. */
    fun open(file: String): InputStream

    /**
     * Maps a file into memory, so that the system can drop its pages at any time.
     *
     * @throws IOException there is no such file, or it cannot be mapped.
     */
    fun map(file: String): ByteBuffer
}

/** A folder of an app's assets. */
class AssetSource(private val assets: AssetManager, private val folder: String) : BundleSource {
    override val name get() = "assets/$folder"

    override fun open(file: String): InputStream = assets.open("$folder/$file", AssetManager.ACCESS_STREAMING)

    override fun map(file: String): ByteBuffer {
        open(file).close() // tells a missing asset from a compressed one
        val descriptor = try {
            assets.openFd("$folder/$file")
        } catch (error: IOException) {
            val remedy = "add `androidResources { noCompress += \"${file.substringAfterLast('.')}\" }` to build.gradle.kts"
            throw IOException("is compressed in the APK and cannot be mapped: $remedy", error)
        }
        return descriptor.use {
            FileInputStream(it.fileDescriptor).channel.map(FileChannel.MapMode.READ_ONLY, it.startOffset, it.length)
        }
    }
}

/** A folder on disk, such as one that the app downloaded. */
class FolderSource(private val folder: File) : BundleSource {
    override val name: String get() = folder.path

    override fun open(file: String): InputStream = FileInputStream(File(folder, file))

    override fun map(file: String): ByteBuffer = FileInputStream(File(folder, file)).use { stream ->
        stream.channel.map(FileChannel.MapMode.READ_ONLY, 0, stream.channel.size())
    }
}
