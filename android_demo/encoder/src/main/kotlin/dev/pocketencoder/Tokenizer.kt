package dev.pocketencoder

import java.nio.IntBuffer

/**
 * Turns text into a fixed number of ids: a start, pieces and an end, padded. Not for two threads at once.
 *
 * @property maxLength number of ids; further pieces are cut off.
 * @param ends how errors name the tokens that there must be room for.
 * @param where how errors name the vocabulary.
 * @throws BundleException there is no room for start and end.
 */
sealed class Tokenizer(val maxLength: Int, ends: String, where: String) {
    private val ids = IntArray(maxLength)

    /** Number of tokens of the text in progress; made smaller, it takes the latest back. */
    protected var count = 0

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
        for (index in 0 until maxLength) {
            inputIds.put(index, if (index < count) ids[index] else paddingId)
            attentionMask.put(index, if (index < count) 1 else 0)
        }
        return count
    }

    /** The ids of a text, without padding. */
    fun encode(text: String): IntArray {
        tokenize(text)
        return ids.copyOf(count)
    }

    private fun tokenize(text: String) {
        ids[0] = startId
        count = 1
        addPieces(text)
        ids[count++] = endId
    }

    /** Adds a text's pieces, all of them or until it is [full]. */
    protected abstract fun addPieces(text: String)

    /** Adds a piece, or cuts it off. */
    protected fun add(id: Int) {
        if (!full()) ids[count++] = id
    }

    /** Whether further pieces are cut off: the last place is for the end. */
    protected fun full() = count >= maxLength - 1

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
            return when (type) {
                "wordpiece" -> WordPiece(files[0], length, places[0])
                else -> ByteBpe(files[0], files[1], length, places[0], places[1])
            }
        }
    }
}
