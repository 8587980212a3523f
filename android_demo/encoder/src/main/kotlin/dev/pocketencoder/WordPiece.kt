package dev.pocketencoder

/**
 * WordPiece as BERT uncased does it: the twin of the Python runtime's `tokenizer.py`, id for id.
 *
 * The special tokens, written out in a text, are taken as such; lone surrogates are dropped.
 *
 * @param vocabulary vocab.txt as it is.
 * @param maxLength number of ids; further pieces are cut off.
 * @param truncation on which side.
 * @param where how errors name the vocabulary.
 * @throws BundleException the vocabulary is not UTF-8, repeats a piece or lacks a special token, or there is no room
 * for [CLS] and [SEP].
 */
class WordPiece(
    vocabulary: ByteArray,
    maxLength: Int,
    truncation: Truncation = Truncation.LEFT,
    where: String = "vocab.txt",
) : Tokenizer(maxLength, truncation, "[CLS] and [SEP]", where) {
    private val pieces = Vocabulary(vocabulary, where)
    private val characters = Characters()
    private val specialIds = IntArray(SPECIAL_TOKENS.size) { pieces.id(SPECIAL_TOKENS[it]) }
    private val replacement = Characters.Replacement()
    override val paddingId = specialIds[PAD]
    override val startId = specialIds[CLS]
    override val endId = specialIds[SEP]

    private val word = ByteArray(MAX_WORD_CHARS * Utf8.MOST_BYTES) // the word in progress, UTF-8,
    private val bounds = IntArray(MAX_WORD_CHARS + 1) // where each of its characters ends in it,
    private var wordChars = 0 // and how many it has, those that found no room included
    private val hashes = IntArray(MAX_WORD_CHARS + 1)
    private val ids = IntArray(MAX_WORD_CHARS) // of its pieces

    init {
        val missing = SPECIAL_TOKENS.filterIndexed { index, _ -> specialIds[index] == Vocabulary.NONE }
        if (missing.isNotEmpty()) throw BundleException("$where: the vocabulary lacks ${missing.joinToString()}; copy it from the export")
    }

    override fun addPieces(text: String) {
        wordChars = 0
        var place = 0
        while (place < text.length && !full()) {
            val special = if (text[place] == '[') specialAt(text, place) else Vocabulary.NONE
            if (special != Vocabulary.NONE) {
                endWord()
                add(specialIds[special], beginsWord = true)
                place += SPECIAL_TOKENS[special].length
            } else {
                val code = text.codePointAt(place)
                characters.replace(code, replacement)
                for (index in 0 until replacement.count) addCharacter(replacement.codes[index])
                place += Character.charCount(code)
            }
        }
        endWord()
    }

    private fun specialAt(text: String, place: Int): Int {
        for (index in SPECIAL_TOKENS.indices) if (text.startsWith(SPECIAL_TOKENS[index], place)) return index
        return Vocabulary.NONE
    }

    private fun addCharacter(code: Int) {
        if (code == Characters.SPACE) return endWord()
        if (wordChars < MAX_WORD_CHARS) bounds[wordChars + 1] = Utf8.write(code, word, bounds[wordChars])
        wordChars++
    }

    /** Adds the ids of the word's pieces, each the longest that the vocabulary has at its place; else [UNK]. */
    private fun endWord() {
        val chars = wordChars
        wordChars = 0
        if (chars == 0) return
        val count = if (chars > MAX_WORD_CHARS) Vocabulary.NONE else cut(chars)
        if (count == Vocabulary.NONE) return add(specialIds[UNK], beginsWord = true)
        for (index in 0 until count) add(ids[index], beginsWord = index == 0)
    }

    /** Cuts the word into pieces and returns how many they are, or [Vocabulary.NONE]. */
    private fun cut(chars: Int): Int {
        var start = 0
        var count = 0
        while (start < chars) {
            start = longestPiece(start, chars, if (start > 0) Vocabulary.CONTINUATIONS else 0, count++)
            if (start == Vocabulary.NONE) return Vocabulary.NONE
        }
        return count
    }

    /** Finds the longest piece at [start], the word's [number]th, and returns where it ends, or [Vocabulary.NONE]. */
    private fun longestPiece(start: Int, chars: Int, prefix: Int, number: Int): Int {
        var hash = Vocabulary.EMPTY
        repeat(prefix) { hash = Vocabulary.hash(hash, Vocabulary.CONTINUATION) }
        for (char in start until chars) {
            for (index in bounds[char] until bounds[char + 1]) hash = Vocabulary.hash(hash, word[index])
            hashes[char + 1] = hash
        }
        for (end in chars downTo start + 1) {
            ids[number] = pieces.id(word, bounds[start], bounds[end], hashes[end], prefix)
            if (ids[number] != Vocabulary.NONE) return end
        }
        return Vocabulary.NONE
    }

    /** Behind a character that stands apart, but for one that a special token may begin with. */
    override fun isBorder(text: String, place: Int): Boolean {
        val before = text.codePointBefore(place)
        characters.replace(before, replacement)
        return before != '['.code && (0 until replacement.count).any { replacement.codes[it] == Characters.SPACE }
    }

    companion object {
        /** Tokens that a vocabulary must have. */
        val SPECIAL_TOKENS = listOf("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        private const val PAD = 0
        private const val UNK = 1
        private const val CLS = 2
        private const val SEP = 3
        private const val MAX_WORD_CHARS = 100 // a longer word is unknown as a whole
    }
}
