package dev.pocketencoder

/** The side on which a text is cut that has more pieces than a model takes; [label] is the manifest's word for it. */
enum class Truncation(val label: String) {
    /** Keeps the end, which a keyboard's next key changes, from a word's beginning where one is near. */
    LEFT("left"),

    /** Keeps the beginning. */
    RIGHT("right"),
}

/**
 * The pieces of a text that are kept, of those that were added.
 *
 * @param limit how many, at most.
 */
internal class KeptPieces(private val limit: Int, private val truncation: Truncation) {
    private val ids = IntArray(limit) // a ring, the first piece at added % limit once it is full
    private val beginsWord = BooleanArray(limit)
    private var added = 0

    /** Whether there are as many as may be; a piece more cuts off one. */
    val full get() = added >= limit

    /** How many are kept. */
    val count get() = minOf(added, limit) - surplus()

    /** Begins with a new text. */
    fun clear() {
        added = 0
    }

    /** Adds a piece; of a full one the first is cut off, or, on the right, this one. */
    fun add(id: Int, begins: Boolean) {
        if (limit == 0 || full && truncation == Truncation.RIGHT) return
        ids[added % limit] = id
        beginsWord[added % limit] = begins
        added++
    }

    operator fun get(index: Int): Int = ids[(first() + surplus() + index) % limit]

    private fun first() = if (added > limit) added % limit else 0

    /** Pieces that are cut off although there is room: up to the next word, where it is near. */
    private fun surplus(): Int {
        if (added <= limit) return 0
        for (index in 0..minOf(NEAR, limit - 1)) if (beginsWord[(first() + index) % limit]) return index
        return 0
    }

    private companion object {
        const val NEAR = 8
    }
}
