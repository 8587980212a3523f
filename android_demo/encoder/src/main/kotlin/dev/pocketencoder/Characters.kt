package dev.pocketencoder

/**
 * What each character becomes before words are split at the spaces, as wordpiece_chars.tsv says; that table pins
 * the Unicode version, which the platform's own functions would not.
 */
internal class Characters private constructor(
    private val firsts: IntArray,
    private val lasts: IntArray,
    private val replacements: Array<IntArray?>, // null: the character itself between two spaces
) {
    private val hangul = IntArray(HANGUL_PARTS)
    private val split = intArrayOf(SPACE, 0, SPACE)
    private val same = IntArray(1)

    /** The code points that replace one, in an array that the next call changes; how many is its [Replacement.count]. */
    fun replace(code: Int, into: Replacement) {
        val place = firsts.binarySearch(code).let { if (it >= 0) it else -it - 2 }
        if (place >= 0 && code <= lasts[place]) {
            val fixed = replacements[place]
            into.codes = fixed ?: split.also { it[1] = code }
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
        private const val TABLE = "dev/pocketencoder/wordpiece_chars.tsv"

        /** Reads the table that comes with this library. */
        fun load(): Characters {
            val stream = Characters::class.java.classLoader?.getResourceAsStream(TABLE)
                ?: throw BundleException("$TABLE is not in the app: copy the library's resources folder too")
            val lines = stream.bufferedReader(Charsets.US_ASCII).useLines { all -> all.filterNot { it.startsWith("#") }.toList() }
            val fields = lines.map { it.split('\t') }
            return Characters(
                IntArray(fields.size) { fields[it][0].toInt(16) },
                IntArray(fields.size) { fields[it][1].toInt(16) },
                Array(fields.size) { replacement(fields[it]) },
            )
        }

        private fun replacement(fields: List<String>): IntArray? = when (fields[2]) {
            "drop" -> IntArray(0)
            "space" -> intArrayOf(SPACE)
            "split" -> null
            else -> fields.getOrElse(3) { "" }.split(' ').filter { it.isNotEmpty() }.map { it.toInt(16) }.toIntArray()
        }
    }
}
