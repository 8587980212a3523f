package dev.pocketencoder.check

import java.io.File
import java.io.IOException

/** Private memory of this process. */
object Memory {
    private val LINE = Regex("""RssAnon:\s+(\d+) kB""")

    /** Anonymous resident memory, in bytes, as `/proc/self/status` has it; null where it does not. */
    fun privateBytes(): Long? = try {
        File("/proc/self/status").useLines { lines -> lines.firstNotNullOfOrNull { LINE.matchEntire(it) } }
            ?.let { it.groupValues[1].toLong() * 1024 }
    } catch (_: IOException) {
        null
    }
}
