package dev.pocketencoder

/**
 * Which pairs of pieces byte-level BPE joins, in which order, and into what: a hash table of pairs of ids.
 *
 * @param bytes merges.txt: UTF-8, a pair a line, the first to be joined first; lines that start with "#version" are none.
 * @param ids of the vocabulary's pieces.
 * @param where how errors name it.
 * @throws BundleException not UTF-8, or a line that is no pair of pieces of the vocabulary.
 */
internal class Merges(bytes: ByteArray, ids: Map<String, Int>, where: String) {
    private val pairs: LongArray
    private val ranks: IntArray
    private val wholes: IntArray

    init {
        val lines = Utf8.decode(bytes, "$where: the merges are").split('\n') // a piece may hold other line separators
        val size = Integer.highestOneBit(lines.size) * SPARSITY
        pairs = LongArray(size) { EMPTY }
        ranks = IntArray(size)
        wholes = IntArray(size)
        var known = 0
        for ((index, ended) in lines.withIndex()) {
            val line = ended.removeSuffix("\r")
            if (line.isEmpty() || line.startsWith(HEADER)) continue
            val pieces = line.split(' ')
            val left = ids[pieces[0]]
            val right = ids[pieces.last()]
            val whole = ids[pieces.joinToString("")]
            if (pieces.size != 2 || left == null || right == null || whole == null) {
                throw BundleException("$where:${index + 1}: '$line' is no pair of pieces of the vocabulary; copy both from one export")
            }
            val slot = slot(pair(left, right))
            ranks[slot] = known
            wholes[slot] = whole
            if (pairs[slot] == EMPTY) known++
            pairs[slot] = pair(left, right)
        }
    }

    /** The pair's number for [rank] and [whole], or [NONE] where the two are not joined. */
    fun find(left: Int, right: Int): Int = slot(pair(left, right)).let { if (pairs[it] == EMPTY) NONE else it }

    /** The lower, the earlier it is joined. */
    fun rank(pair: Int): Int = ranks[pair]

    /** The id of what a pair becomes. */
    fun whole(pair: Int): Int = wholes[pair]

    private fun pair(left: Int, right: Int) = (left.toLong() shl Int.SIZE_BITS) or (right.toLong() and UNSIGNED)

    private fun slot(pair: Long): Int {
        val hash = pair * SPREAD
        var slot = (hash ushr Int.SIZE_BITS).toInt() and (pairs.size - 1)
        while (pairs[slot] != EMPTY && pairs[slot] != pair) slot = (slot + 1) and (pairs.size - 1)
        return slot
    }

    companion object {
        const val NONE = -1
        private const val EMPTY = -1L
        private const val UNSIGNED = 0xFFFF_FFFFL
        private const val SPREAD = -0x61c8864680b583ebL // 2^64 over the golden ratio: takes ids apart that lie close
        private const val SPARSITY = 4
        private const val HEADER = "#version"
    }
}
