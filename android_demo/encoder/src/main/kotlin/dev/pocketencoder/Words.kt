package dev.pocketencoder

/**
 * Cuts texts into the words of byte-level BPE: English endings, letters, digits, other signs, each with the space before
 * it, and white space; byte_bpe_chars.tsv says which is which.
 *
 * @param special tokens that stand for themselves, where they are written out; each begins with "<".
 * @throws BundleException the app lacks that table.
 */
internal class Words(private val special: List<String>) {
    private enum class Kind { LETTER, DIGIT, SPACE, SIGN, END }

    private val kinds = CharacterTable("byte_bpe_chars.tsv") { fields -> KINDS.getValue(fields[2]) }

    /** Which special token is written at a place, or [NONE]. */
    fun specialAt(text: String, place: Int): Int {
        if (text[place] == '<') for (index in special.indices) if (text.startsWith(special[index], place)) return index
        return NONE
    }

    /** Where the word ends that begins at [start], where no special token is. */
    fun end(text: String, start: Int): Int {
        if (text[start] == '\'') {
            for (index in ENDINGS.indices) if (text.startsWith(ENDINGS[index], start)) return start + ENDINGS[index].length
        }
        val kind = kindAt(text, start)
        if (kind != Kind.SPACE) return runEnd(text, start, kind)
        val next = kindAt(text, start + 1)
        if (text[start] == ' ' && next != Kind.SPACE && next != Kind.END) return runEnd(text, start + 1, next)
        val end = runEnd(text, start, Kind.SPACE)
        // The last one belongs to what follows, or is a word of its own.
        return if (end - start == 1 || kindAt(text, end) == Kind.END) end else end - 1
    }

    /**
     * Whether a word begins at a place for certain: white space behind another character, a letter behind a sign that is
     * of no ending or special token, or what follows a special token.
     */
    fun isBorder(text: String, place: Int): Boolean {
        if (special.any { text.startsWith(it, place - it.length) }) return true
        val before = text.codePointBefore(place)
        if (before in SURROGATES) return false // it is dropped, or the other half follows
        val last = kindOf(before)
        return when (kindOf(text.codePointAt(place))) {
            Kind.SPACE -> last != Kind.SPACE
            Kind.LETTER -> last == Kind.SIGN && before !in BEFORE_LETTERS
            else -> false
        }
    }

    private fun runEnd(text: String, start: Int, kind: Kind): Int {
        var place = start
        while (kindAt(text, place) == kind) place += Character.charCount(text.codePointAt(place))
        return place
    }

    /** What the character at a place is; the end of the text, or a special token, is an end. */
    private fun kindAt(text: String, place: Int): Kind {
        if (place == text.length || specialAt(text, place) != NONE) return Kind.END
        return kindOf(text.codePointAt(place))
    }

    private fun kindOf(code: Int): Kind {
        val range = kinds.find(code)
        return if (range == CharacterTable.NONE) Kind.SIGN else kinds.value(range)
    }

    companion object {
        const val NONE = -1
        private val BEFORE_LETTERS = "'</".map { it.code }
        private val SURROGATES = 0xD800..0xDFFF
        private val ENDINGS = listOf("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
        private val KINDS = mapOf("letter" to Kind.LETTER, "digit" to Kind.DIGIT, "space" to Kind.SPACE)
    }
}
