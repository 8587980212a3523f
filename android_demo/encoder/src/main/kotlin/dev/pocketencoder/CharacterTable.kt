package dev.pocketencoder

/**
 * What holds for ranges of characters, as a table says that comes with this library; it pins the Unicode version,
 * which the platform's own functions would not.
 *
 * @param name of the table: first and last code point, hexadecimal, and further fields a line, the ranges in order.
 * @param value makes of a line's fields what [value] gives.
 * @throws BundleException the app lacks the table.
 */
internal class CharacterTable<T>(name: String, value: (List<String>) -> T) {
    private val firsts: IntArray
    private val lasts: IntArray
    private val values: List<T>

    init {
        val path = "dev/pocketencoder/$name"
        val stream = CharacterTable::class.java.classLoader?.getResourceAsStream(path)
            ?: throw BundleException("$path is not in the app: copy the library's resources folder too")
        val lines = stream.bufferedReader(Charsets.US_ASCII).useLines { all -> all.filterNot { it.startsWith("#") }.toList() }
        val fields = lines.map { it.split('\t') }
        firsts = IntArray(fields.size) { fields[it][0].toInt(16) }
        lasts = IntArray(fields.size) { fields[it][1].toInt(16) }
        values = fields.map(value)
    }

    /** The number of the range that a code point lies in, or [NONE]. */
    fun find(code: Int): Int {
        val place = firsts.binarySearch(code).let { if (it >= 0) it else -it - 2 }
        return if (place >= 0 && code <= lasts[place]) place else NONE
    }

    /** What the table says of a range. */
    fun value(range: Int): T = values[range]

    companion object {
        const val NONE = -1
    }
}
