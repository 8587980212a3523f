package dev.pocketencoder

/**
 * Joins the pieces of one word at a time, always the pair that was learned first, of equal ones the leftmost. Work grows
 * with a word's length times its logarithm, whatever the word. Not for two threads at once.
 *
 * @param merges which pairs are joined.
 * @param capacity pieces of the longest word.
 */
internal class Joiner(private val merges: Merges, capacity: Int) {
    /** Takes the ids of a word's pieces, and after [join] has those that are left, with [GONE] in between. */
    val pieces = IntArray(capacity)
    private val before = IntArray(capacity)
    private val after = IntArray(capacity)

    // A binary heap of pairs that wait: the rank in the upper half, the place of the left piece in the lower one. Every
    // pair there is at the beginning, and two more for each join.
    private val waiting = LongArray(MOST_WAITING * capacity)
    private var count = 0

    /** Joins the first [length] of [pieces]. */
    fun join(length: Int) {
        count = 0
        for (place in 0 until length) {
            before[place] = place - 1
            after[place] = if (place + 1 < length) place + 1 else NONE
        }
        for (place in 0 until length) consider(place)
        while (count > 0) {
            val next = takeFirst()
            val left = next.toInt()
            val pair = pairAt(left)
            // Others, where one of the two has been joined with another since.
            if (pair != Merges.NONE && merges.rank(pair) == (next ushr Int.SIZE_BITS).toInt()) joinAt(left, merges.whole(pair))
        }
    }

    private fun joinAt(left: Int, whole: Int) {
        val right = after[left]
        pieces[left] = whole
        pieces[right] = GONE
        after[left] = after[right]
        if (after[left] != NONE) before[after[left]] = left
        consider(left)
        if (before[left] != NONE) consider(before[left])
    }

    private fun pairAt(left: Int) =
        if (pieces[left] == GONE || after[left] == NONE) Merges.NONE else merges.find(pieces[left], pieces[after[left]])

    private fun consider(left: Int) {
        val pair = pairAt(left)
        if (pair != Merges.NONE) add((merges.rank(pair).toLong() shl Int.SIZE_BITS) or left.toLong())
    }

    private fun add(entry: Long) {
        var place = count++
        while (place > 0 && waiting[(place - 1) / 2] > entry) {
            waiting[place] = waiting[(place - 1) / 2]
            place = (place - 1) / 2
        }
        waiting[place] = entry
    }

    private fun takeFirst(): Long {
        val first = waiting[0]
        val last = waiting[--count]
        var place = 0
        while (true) {
            var child = 2 * place + 1
            if (child + 1 < count && waiting[child + 1] < waiting[child]) child++
            if (child >= count || waiting[child] >= last) break
            waiting[place] = waiting[child]
            place = child
        }
        waiting[place] = last
        return first
    }

    companion object {
        /** Stands where a piece was before it was joined with the one on its left. */
        const val GONE = -1
        private const val NONE = -1
        private const val MOST_WAITING = 3
    }
}
