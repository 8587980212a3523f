package dev.pocketencoder

/**
 * What each character becomes before words are split at the spaces, as wordpiece_chars.tsv says.
 *
 * @throws BundleException the app lacks that table.
 */
internal class Characters {
    private val table = CharacterTable("wordpiece_chars.tsv", ::replacement) // null: the character itself between two spaces
    private val hangul = IntArray(HANGUL_PARTS)
    private val split = intArrayOf(SPACE, 0, SPACE)
    private val same = IntArray(1)

    /** The code points that replace one, in an array that the next call changes; how many is its [Replacement.count]. */
    fun replace(code: Int, into: Replacement) {
        val range = table.find(code)
        if (range != CharacterTable.NONE) {
            into.codes = table.value(range) ?: split.also { it[1] = code }
            into.count = into.codes.size
        } else if (code in HANGUL_FIRST..HANGUL_LAST) {
            decompose(code, into)
        } else {
            into.codes = same.also { it[0] = code }
            into.count = 1
        }
    }

    /** The two or three letters of a Hangul syllable, by Unicode's formula. */
    private fun decompose(code: Int, into: Replacement) {
        val index = code - HANGUL_FIRST
        hangul[0] = LEAD_BASE + index / (VOWELS * TAILS)
        hangul[1] = VOWEL_BASE + index % (VOWELS * TAILS) / TAILS
        hangul[2] = TAIL_BASE + index % TAILS
        into.codes = hangul
        into.count = if (index % TAILS == 0) 2 else HANGUL_PARTS
    }

    /** The first [count] of [codes]. */
    class Replacement {
        var codes = IntArray(0)
        var count = 0
    }

    companion object {
        const val SPACE = 0x20
        private const val HANGUL_FIRST = 0xAC00
        private const val HANGUL_LAST = 0xD7A3
        private const val HANGUL_PARTS = 3
        private const val LEAD_BASE = 0x1100
        private const val VOWEL_BASE = 0x1161
        private const val TAIL_BASE = 0x11A7
        private const val VOWELS = 21
        private const val TAILS = 28

        private fun replacement(fields: List<String>): IntArray? = when (fields[2]) {
            "drop" -> IntArray(0)
            "space" -> intArrayOf(SPACE)
            "split" -> null
            else -> fields.getOrElse(3) { "" }.split(' ').filter { it.isNotEmpty() }.map { it.toInt(16) }.toIntArray()
        }
    }
}
