package dev.pocketencoder

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

/** Strict where the platform's own functions would put replacement characters. */
internal object Utf8 {
    /** Number of bytes of the longest character. */
    const val MOST_BYTES = 4

    /**
     * A file's text.
     *
     * @param subject what an error says is not UTF-8, the verb included.
     * @throws BundleException it is not UTF-8.
     */
    fun decode(bytes: ByteArray, subject: String): String = try {
        Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString()
    } catch (error: CharacterCodingException) {
        throw BundleException("$subject not UTF-8; copy it from the export", error)
    }

    /** Writes a character's bytes from a place on; returns where they end. */
    fun write(code: Int, into: ByteArray, from: Int): Int {
        var place = from
        when {
            code < 0x80 -> into[place++] = code.toByte()
            code < 0x800 -> into[place++] = (0xC0 or (code shr 6)).toByte()
            code < 0x10000 -> {
                into[place++] = (0xE0 or (code shr 12)).toByte()
                into[place++] = continuation(code shr 6)
            }
            else -> {
                into[place++] = (0xF0 or (code shr 18)).toByte()
                into[place++] = continuation(code shr 12)
                into[place++] = continuation(code shr 6)
            }
        }
        if (code >= 0x80) into[place++] = continuation(code)
        return place
    }

    private fun continuation(bits: Int) = (0x80 or (bits and 0x3F)).toByte()
}
