package dev.pocketencoder

import org.json.JSONException
import org.json.JSONObject

/**
 * Byte-level BPE as GPT-2 and RoBERTa do it: the twin of the Python runtime's `bpe.py`, id for id.
 *
 * The special tokens, written out in a text, are taken as such; lone surrogates are dropped. Encoding allocates nothing,
 * but for texts over a thousand characters or with lone surrogates, and for words of hundreds of characters.
 *
 * @param vocabulary vocab.json as it is: an object, a piece -> its id.
 * @param merges merges.txt as it is: a pair of pieces a line, the first to be joined first.
 * @param maxLength number of ids; further pieces are cut off.
 * @param truncation on which side.
 * @param vocabularyName how errors name the vocabulary.
 * @param mergesName how errors name the merges.
 * @throws BundleException a file holds something else, or lacks a special token or a byte, or there is no room for
 * <s> and </s>.
 */
class ByteBpe(
    vocabulary: ByteArray,
    merges: ByteArray,
    maxLength: Int,
    truncation: Truncation = Truncation.LEFT,
    vocabularyName: String = "vocab.json",
    mergesName: String = "merges.txt",
) : Tokenizer(maxLength, truncation, "<s> and </s>", vocabularyName) {
    private val words = Words(SPECIAL_TOKENS)
    private val specialIds: IntArray
    private val byteIds: IntArray
    private val merges: Merges
    private val joiner: Joiner
    private val character = ByteArray(Utf8.MOST_BYTES)
    override val paddingId get() = specialIds[PAD]
    override val startId get() = specialIds[START]
    override val endId get() = specialIds[END]

    init {
        val ids = readVocabulary(vocabulary, vocabularyName)
        val symbols = byteSymbols()
        val missing = (SPECIAL_TOKENS + symbols).filterNot(ids::containsKey)
        if (missing.isNotEmpty()) {
            throw BundleException("$vocabularyName: the vocabulary lacks ${missing.take(NAMED).joinToString()}; copy it from the export")
        }
        specialIds = IntArray(SPECIAL_TOKENS.size) { ids.getValue(SPECIAL_TOKENS[it]) }
        byteIds = IntArray(symbols.size) { ids.getValue(symbols[it]) }
        this.merges = Merges(merges, ids, mergesName)
        joiner = Joiner(this.merges, KEPT_WORD_BYTES)
    }

    override fun addPieces(text: String) {
        val whole = withoutLoneSurrogates(text)
        var place = 0
        while (place < whole.length && !full()) {
            val special = words.specialAt(whole, place)
            if (special != Words.NONE) {
                add(specialIds[special], beginsWord = true)
                place += SPECIAL_TOKENS[special].length
            } else {
                val end = words.end(whole, place)
                addWord(whole, place, end)
                place = end
            }
        }
    }

    /** Adds a word's pieces: its bytes, joined. */
    private fun addWord(text: String, start: Int, end: Int) {
        if (end - start > KEPT_WORD_BYTES / UTF8_BYTES_PER_CHAR) return addLongWord(text, start, end)
        var count = 0
        var place = start
        while (place < end) {
            val code = text.codePointAt(place)
            val bytes = Utf8.write(code, character, 0)
            for (index in 0 until bytes) joiner.pieces[count++] = byteIds[character[index].toInt() and BYTE]
            place += Character.charCount(code)
        }
        addJoined(joiner, count)
    }

    /** The same with a joiner of its own, so that none that is large stays; reads only so much, on the side that is kept. */
    private fun addLongWord(text: String, start: Int, end: Int) {
        val left = truncation == Truncation.LEFT
        var from = if (left) maxOf(start, end - MOST_WORD_BYTES) else start
        if (from > start && text[from].isLowSurrogate()) from--
        val to = if (left) end else minOf(end, start + MOST_WORD_BYTES)
        val bytes = text.substring(from, to).toByteArray(Charsets.UTF_8)
        val count = minOf(bytes.size, MOST_WORD_BYTES)
        val first = if (left) bytes.size - count else 0
        val joiner = Joiner(merges, count)
        for (index in 0 until count) joiner.pieces[index] = byteIds[bytes[first + index].toInt() and BYTE]
        addJoined(joiner, count)
    }

    private fun addJoined(joiner: Joiner, count: Int) {
        joiner.join(count)
        for (index in 0 until count) {
            if (joiner.pieces[index] != Joiner.GONE) add(joiner.pieces[index], beginsWord = index == 0)
        }
    }

    override fun isBorder(text: String, place: Int): Boolean = words.isBorder(text, place)

    companion object {
        /** Tokens that a vocabulary must have. */
        val SPECIAL_TOKENS = listOf("<s>", "<pad>", "</s>", "<unk>", "<mask>")
        private const val START = 0
        private const val PAD = 1
        private const val END = 2
        private const val NAMED = 5 // so many of the missing pieces
        private const val BYTE = 0xFF
        private const val BYTES = 256
        private const val UTF8_BYTES_PER_CHAR = 3 // of a Java string; a pair of surrogates has four
        private const val KEPT_WORD_BYTES = 384
        private const val MOST_WORD_BYTES = 1 shl 16 // of a longer word only so much is read
        private const val FIRST_STAND_IN = 0x100
        private val PRINTED = listOf(0x21..0x7E, 0xA1..0xAC, 0xAE..0xFF)

        /** The character that stands for each byte: itself where it prints, else the next one from U+0100 on. */
        private fun byteSymbols(): List<String> {
            var other = FIRST_STAND_IN
            return List(BYTES) { byte -> (if (PRINTED.any { byte in it }) byte else other++).toChar().toString() }
        }

        private fun readVocabulary(bytes: ByteArray, where: String): Map<String, Int> {
            val text = Utf8.decode(bytes, "$where: the vocabulary is")
            val json = try {
                JSONObject(text)
            } catch (error: JSONException) {
                // Its message may hold the whole file.
                throw BundleException("$where: the vocabulary is not a JSON object; copy it from the export", error)
            } catch (error: StackOverflowError) {
                throw BundleException("$where: the vocabulary is not a JSON object: nested too deeply", error)
            }
            val ids = json.keys().asSequence().associateWith { json.get(it) as? Int }
            val found = ids.values.filterNotNullTo(HashSet())
            if (found.size != ids.size || found.any { it !in ids.values.indices }) {
                throw BundleException("$where: the vocabulary must be an object of pieces and ids from 0 on, each once")
            }
            return ids.mapValues { (_, id) -> id!! }
        }

        /** A text without halves of surrogate pairs. */
        private fun withoutLoneSurrogates(text: String): String {
            for (place in text.indices) {
                if (isLone(text, place)) return text.filterIndexed { index, _ -> !isLone(text, index) }
            }
            return text
        }

        private fun isLone(text: String, place: Int): Boolean {
            val char = text[place]
            return when {
                char.isHighSurrogate() -> place + 1 == text.length || !text[place + 1].isLowSurrogate()
                char.isLowSurrogate() -> place == 0 || !text[place - 1].isHighSurrogate()
                else -> false
            }
        }
    }
}
