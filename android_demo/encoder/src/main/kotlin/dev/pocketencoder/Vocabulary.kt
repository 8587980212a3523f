package dev.pocketencoder

/**
 * The pieces of a vocab.txt and their ids, found without making strings: a hash table over the file's own bytes.
 *
 * @param bytes the file: UTF-8, a piece a line, the line's number its id.
 * @param where how errors name it.
 * @throws BundleException not UTF-8, or a piece twice.
 */
internal class Vocabulary(private val bytes: ByteArray, where: String) {
    private val starts: IntArray
    private val ends: IntArray
    private val table: IntArray

    init {
        Utf8.decode(bytes, "$where: the vocabulary is")
        val lines = bytes.count { it == NEWLINE } + if (bytes.isEmpty() || bytes.last() == NEWLINE) 0 else 1
        starts = IntArray(lines)
        ends = IntArray(lines)
        var start = 0
        for (line in 0 until lines) {
            var end = start
            while (end < bytes.size && bytes[end] != NEWLINE) end++
            starts[line] = start
            ends[line] = if (end > start && bytes[end - 1] == RETURN) end - 1 else end
            start = end + 1
        }
        table = IntArray(Integer.highestOneBit(maxOf(lines, 1)) * SPARSITY) { NONE }
        for (line in 0 until lines) {
            val slot = slot(bytes, starts[line], ends[line], hash(EMPTY, bytes, starts[line], ends[line]), 0)
            if (table[slot] != NONE) {
                val piece = String(bytes, starts[line], ends[line] - starts[line], Charsets.UTF_8)
                throw BundleException("$where: the vocabulary has '$piece' twice; copy it from the export")
            }
            table[slot] = line
        }
    }

    /** The id of a piece, or [NONE]. */
    fun id(piece: String): Int = piece.toByteArray(Charsets.UTF_8).let { id(it, 0, it.size, hash(EMPTY, it, 0, it.size), 0) }

    /**
     * The id of the piece that [from] .. [to] of [word] spell after a prefix of so many [CONTINUATION] bytes.
     *
     * @param hash of the prefix and these bytes.
     */
    fun id(word: ByteArray, from: Int, to: Int, hash: Int, prefix: Int): Int = table[slot(word, from, to, hash, prefix)]

    private fun slot(word: ByteArray, from: Int, to: Int, hash: Int, prefix: Int): Int {
        var slot = (hash xor (hash ushr 15)) and (table.size - 1)
        while (table[slot] != NONE && !same(table[slot], word, from, to, prefix)) slot = (slot + 1) and (table.size - 1)
        return slot
    }

    private fun same(id: Int, word: ByteArray, from: Int, to: Int, prefix: Int): Boolean {
        val start = starts[id]
        if (ends[id] - start != prefix + to - from) return false
        for (index in 0 until prefix) if (bytes[start + index] != CONTINUATION) return false
        for (index in from until to) if (bytes[start + prefix + index - from] != word[index]) return false
        return true
    }

    companion object {
        const val NONE = -1

        /** What a piece that continues a word begins with, [CONTINUATIONS] times. */
        const val CONTINUATION = '#'.code.toByte()
        const val CONTINUATIONS = 2

        /** The hash of nothing. */
        const val EMPTY = 0x811C9DC5.toInt()
        private const val PRIME = 0x01000193
        private const val NEWLINE = '\n'.code.toByte()
        private const val RETURN = '\r'.code.toByte()
        private const val SPARSITY = 4

        /** Goes on hashing (FNV-1a) with one byte. */
        fun hash(hash: Int, byte: Byte): Int = (hash xor (byte.toInt() and 0xFF)) * PRIME

        private fun hash(from: Int, bytes: ByteArray, start: Int, end: Int): Int {
            var hash = from
            for (index in start until end) hash = hash(hash, bytes[index])
            return hash
        }
    }
}
