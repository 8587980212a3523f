package dev.pocketencoder

import dev.pocketencoder.check.Metrics
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.nio.IntBuffer

@RunWith(RobolectricTestRunner::class)
class ByteBpeTest {
    private val vocabulary = Fixtures.tokenizerFile("byte_bpe", "vocab.json")
    private val merges = Fixtures.tokenizerFile("byte_bpe", "merges.txt")
    private val tokenizer = ByteBpe(vocabulary, merges, LENGTH)

    @Test
    fun everyTextHasTheIdsThatPythonGivesIt() = Fixtures.assertSameIds("byte_bpe") { length, truncation -> ByteBpe(vocabulary, merges, length, truncation) }

    @Test
    fun aBundleThatNamesItIsEncodedAsPythonDoes() {
        val expected = Fixtures.lines("byte_bpe_bundle/embeddings.jsonl")
        val found = Fixtures.open(Fixtures.byteBpeBundle).use { encoder ->
            expected.map { encoder.textEmbedding(it.getString("text")).await() }
        }
        val least = Metrics.cosine(found, expected.map { it.getJSONArray("embedding").floats() }).min()
        assertEquals(32, expected.size)
        assertTrue("cosine $least", least >= 0.9999)
    }

    @Test
    fun idsArePaddedAndMaskedAndNothingOfTheLastTextStays() {
        val ids = IntBuffer.allocate(LENGTH)
        val mask = IntBuffer.allocate(LENGTH)
        tokenizer.encode("many words ".repeat(100), ids, mask)
        assertEquals(LENGTH, mask.array().sum())
        val count = tokenizer.encode("<mask>", ids, mask)
        assertEquals(listOf(0, 4, 2), ids.array().take(count))
        assertTrue(ids.array().drop(count).all { it == 1 })
        assertEquals(List(LENGTH) { if (it < count) 1 else 0 }, mask.array().toList())
    }

    @Test
    fun specialTokensThatLoneSurrogatesTakeApartAreOnes() {
        assertEquals(tokenizer.encode("see<pad>you").toList(), tokenizer.encode("see<p\uD800ad>\uDC00you\uD83D").toList())
        assertEquals(listOf(0, 2), tokenizer.encode("\uDFFF\uD800").toList())
    }

    @Test
    fun pairsAreJoinedInTheOrderOfTheMergesAndEqualOnesFromTheLeft() {
        val more = listOf("aa", "ab", "aab")
        val tiny = ByteBpe(vocabularyWith(more), "#version: 0.2\na b\na a\naa b\n".toByteArray(), 9)
        val (aa, ab, aab) = more.indices.map { BYTES_AND_SPECIAL + it }
        val a = tiny.encode("a")[1]
        assertEquals(listOf(0, aa, a, 2), tiny.encode("aaa").toList())
        assertEquals(listOf(0, a, ab, 2), tiny.encode("aab").toList())
        val reversed = ByteBpe(vocabularyWith(more), "a a\na b\naa b".toByteArray(), 9)
        assertEquals(listOf(0, aab, 2), reversed.encode("aab").toList())
    }

    @Test
    fun mergesWithWindowsLineEndsAreTheSame() {
        val windows = ByteBpe(vocabulary, String(merges).replace("\n", "\r\n").toByteArray(), LENGTH)
        assertEquals(tokenizer.encode("Playing chess").toList(), windows.encode("Playing chess").toList())
    }

    @Test
    fun unusableFilesAreRefusedInOneLine() {
        fun message(vocabulary: ByteArray, merges: ByteArray = this.merges, length: Int = LENGTH): String {
            val error = assertThrows(BundleException::class.java) { ByteBpe(vocabulary, merges, length, Truncation.LEFT, "a/vocab.json", "a/merges.txt") }
            return error.message!!.also { assertTrue(it, it.length < 200 && '\n' !in it) }
        }
        val pieces = JSONObject(String(vocabulary))
        assertTrue(message("{".toByteArray()).startsWith("a/vocab.json: the vocabulary is not a JSON object"))
        assertTrue(message("[1]".toByteArray()).contains("not a JSON object"))
        assertTrue(message(("{\"a\":" + "[".repeat(100_000)).toByteArray()).contains("not a JSON object"))
        assertTrue(message(byteArrayOf(-1, -2)).contains("not UTF-8"))
        assertTrue(message("{\"<pad>\": 0}".toByteArray()).contains("lacks <s>, </s>, <unk>, <mask>, \u0100; copy it"))
        for (id in listOf<Any>(3, 100_000, -1, 1.5, "7", JSONObject.NULL)) {
            val changed = JSONObject(pieces.toString()).put("more", id).toString().toByteArray()
            assertTrue(message(changed).contains("ids from 0 on, each once"))
        }
        assertTrue(message(vocabulary, byteArrayOf(-1)).startsWith("a/merges.txt: the merges are not UTF-8"))
        for (line in listOf("a b c", "ab", "a zzzzzz", "a  b")) {
            val expected = "a/merges.txt:3: '$line' is no pair of pieces of the vocabulary"
            assertTrue(message(vocabulary, "#version: 0.2\ni n\n$line\n".toByteArray()).startsWith(expected))
        }
        assertTrue(message(vocabulary, merges, 1).contains("max_length must be at least 2, for <s> and </s>, not 1"))
    }

    /** The bytes and special tokens of the real vocabulary, and more pieces behind them. */
    private fun vocabularyWith(more: List<String>): ByteArray {
        val pieces = JSONObject(String(vocabulary)).let { all -> all.keys().asSequence().associateWith(all::getInt) }
        val first = pieces.filterValues { it < BYTES_AND_SPECIAL }
        val second = more.withIndex().associate { (index, piece) -> piece to BYTES_AND_SPECIAL + index }
        return JSONObject(first + second).toString().toByteArray()
    }

    private companion object {
        const val LENGTH = 64
        const val BYTES_AND_SPECIAL = 261
    }
}
