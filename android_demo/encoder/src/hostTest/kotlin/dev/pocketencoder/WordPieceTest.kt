package dev.pocketencoder

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.nio.IntBuffer

@RunWith(RobolectricTestRunner::class)
class WordPieceTest {
    private val vocabulary = Fixtures.tokenizerFile("wordpiece", "vocab.txt")
    private val tokenizer = WordPiece(vocabulary, LENGTH)

    @Test
    fun everyTextHasTheIdsThatPythonGivesIt() = Fixtures.assertSameIds("wordpiece") { length, truncation -> WordPiece(vocabulary, length, truncation) }

    @Test
    fun idsArePaddedAndMaskedAndNothingOfTheLastTextStays() {
        val ids = IntBuffer.allocate(LENGTH)
        val mask = IntBuffer.allocate(LENGTH)
        tokenizer.encode("many words ".repeat(100), ids, mask)
        assertEquals(LENGTH, mask.array().sum())
        val count = tokenizer.encode("see you at", ids, mask)
        assertEquals(listOf(101, 2156, 2017, 2012, 102), ids.array().take(count))
        assertTrue(ids.array().drop(count).all { it == 0 })
        assertEquals(List(LENGTH) { if (it < count) 1 else 0 }, mask.array().toList())
    }

    @Test
    fun aTextOf100KilobytesAndLoneSurrogatesAreFine() {
        assertEquals(LENGTH, tokenizer.encode("word ".repeat(20_000)).size)
        assertEquals(listOf(101, 100, 102), tokenizer.encode("x".repeat(100_000)).toList())
        assertEquals(tokenizer.encode("ab").toList(), tokenizer.encode("a\uD800b\uDC00").toList())
    }

    @Test
    fun aWordThatIsUnknownAsAWholeIsSoToTheLastPlaceToo() {
        val tiny = WordPiece("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b".toByteArray(), 4, Truncation.RIGHT)
        assertEquals(listOf(2, 5, 6, 3), tiny.encode("ab").toList())
        assertEquals(listOf(2, 1, 3), tiny.encode("abbx").toList())
        assertEquals(listOf(2, 5, 1, 3), tiny.encode("a abx").toList())
    }

    @Test
    fun windowsLineEndsAreTheSame() {
        val windows = WordPiece(String(vocabulary).replace("\n", "\r\n").toByteArray(), LENGTH)
        assertEquals(tokenizer.encode("Playing chess").toList(), windows.encode("Playing chess").toList())
    }

    @Test
    fun unusableVocabulariesAreRefused() {
        fun message(content: ByteArray, length: Int = LENGTH) =
            assertThrows(BundleException::class.java) { WordPiece(content, length, where = "a/vocab.txt") }.message!!
        assertTrue(message("[PAD]\n[UNK]\n[CLS]\n[SEP]\n".toByteArray()).contains("a/vocab.txt: the vocabulary lacks [MASK]"))
        assertTrue(message("a\nb\na".toByteArray()).contains("has 'a' twice"))
        assertTrue(message(byteArrayOf(-1, -2)).contains("not UTF-8"))
        assertTrue(message(ByteArray(0)).contains("lacks [PAD]"))
        assertTrue(message(vocabulary, 1).contains("at least 2"))
    }

    private companion object {
        const val LENGTH = 64
    }
}
