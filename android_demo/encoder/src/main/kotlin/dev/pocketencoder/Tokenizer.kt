package dev.pocketencoder

import java.nio.IntBuffer

/**
 * Turns text into a fixed number of ids: a start, pieces and an end, padded. Not for two threads at once.
 *
 * @property maxLength number of ids; further pieces are cut off.
 * @property truncation on which side.
 * @param ends how errors name the tokens that there must be room for.
 * @param where how errors name the vocabulary.
 * @throws BundleException there is no room for start and end.
 */
sealed class Tokenizer(val maxLength: Int, val truncation: Truncation, ends: String, where: String) {
    private val kept = KeptPieces(maxOf(maxLength - 2, 0), truncation)

    /** The id of padding. */
    protected abstract val paddingId: Int

    /** The id that each text begins with. */
    protected abstract val startId: Int

    /** The id that each text ends with. */
    protected abstract val endId: Int

    init {
        if (maxLength < 2) throw BundleException("$where: max_length must be at least 2, for $ends, not $maxLength")
    }

    /**
     * Writes the ids of a text of any length.
     *
     * @param inputIds takes [maxLength] ids from its start.
     * @param attentionMask takes [maxLength] numbers from its start: 1 = a token, 0 = padding.
     * @return the number of tokens.
     */
    fun encode(text: String, inputIds: IntBuffer, attentionMask: IntBuffer): Int {
        tokenize(text)
        val count = kept.count + 2
        for (index in 0 until maxLength) {
            inputIds.put(index, if (index < count) id(index, count) else paddingId)
            attentionMask.put(index, if (index < count) 1 else 0)
        }
        return count
    }

    /** The ids of a text, without padding. */
    fun encode(text: String): IntArray {
        tokenize(text)
        val count = kept.count + 2
        return IntArray(count) { id(it, count) }
    }

    private fun id(index: Int, count: Int): Int = when (index) {
        0 -> startId
        count - 1 -> endId
        else -> kept[index - 1]
    }

    /** Reads of a long text no more than the pieces need that are kept of it. */
    private fun tokenize(text: String) {
        var read = if (truncation == Truncation.LEFT) FIRST_READ else text.length
        while (read < text.length) {
            kept.clear()
            val first = text.length - read
            val border = (first until minOf(first + FIRST_READ, text.length)).firstOrNull { isBorder(text, it) }
            if (border != null) addPieces(text.substring(border))
            if (kept.full) return
            read = if (read > text.length / MORE) text.length else read * MORE
        }
        kept.clear()
        addPieces(text)
    }

    /** Adds a text's pieces, all of them or until it is [full]. */
    protected abstract fun addPieces(text: String)

    /** Whether a text may be cut before a place, with the same words on both sides. */
    protected abstract fun isBorder(text: String, place: Int): Boolean

    /** Adds a piece, or cuts off one. */
    protected fun add(id: Int, beginsWord: Boolean) = kept.add(id, beginsWord)

    /** Whether all further pieces are cut off. */
    protected fun full() = kept.full && truncation == Truncation.RIGHT

    companion object {
        /** By type, the keys of the manifest's entry that name a file: the Python runtime's, `tokenizers.py`. */
        val FILES: Map<String, List<String>> = mapOf("wordpiece" to listOf("vocab"), "byte_bpe" to listOf("vocab", "merges"))

        /**
         * Opens the tokenizer that belongs to a bundle's model.
         *
         * @throws BundleException one of its files is missing, altered or cannot be used.
         */
        fun open(bundle: EncoderBundle): Tokenizer {
            val entry = bundle.manifest.getJSONObject("tokenizer")
            val type = entry.getString("type")
            val names = FILES.getValue(type).map { entry.getString(it) }
            val files = names.map(bundle::read)
            val places = names.map { "${bundle.source.name}/$it" }
            val length = bundle.tensors.getValue("input_ids").shape[1]
            val truncation = Truncation.values().first { it.label == entry.getString("truncation") }
            return when (type) {
                "wordpiece" -> WordPiece(files[0], length, truncation, places[0])
                else -> ByteBpe(files[0], files[1], length, truncation, places[0], places[1])
            }
        }

        private const val FIRST_READ = 1024 // characters of a longer text, at first
        private const val MORE = 8 // times as many, where those are not enough
    }
}
