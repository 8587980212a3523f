package dev.pocketencoder

import android.graphics.Bitmap
import android.graphics.Color
import dev.pocketencoder.check.Metrics
import org.json.JSONArray
import org.json.JSONObject
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.nio.ByteBuffer
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import kotlin.concurrent.thread
import kotlin.math.abs

@RunWith(RobolectricTestRunner::class)
class ScreenEncoderTest {
    private val encoder = Fixtures.open()
    private val screen = Bitmap.createBitmap(540, 1170, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.rgb(200, 120, 30)) }
    private val otherScreen = Bitmap.createBitmap(1170, 540, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.BLACK) }

    @After
    fun close() {
        encoder.close()
        assertTrue(encoder.awaitClosed(60_000))
    }

    @Test
    fun everyParitySampleHasTheEmbeddingThatPythonGivesIt() {
        val expected = Fixtures.lines("embeddings.jsonl")
        val found = expected.map { line ->
            val bitmap = Fixtures.bitmap(line.getString("image"))
            encoder.encode(bitmap, line.getString("text"), line.getJSONArray("user").floats()).await()
        }
        val cosine = Metrics.cosine(found, expected.map { it.getJSONArray("embedding").floats() })
        Fixtures.reportParity(
            "embeddings", "embeddings of the parity samples, from file to vector", expected.size,
            "cosine at least %.7f".format(cosine.min()), cosine.min() >= LEAST_COSINE,
        )
        assertEquals(32, expected.size)
        assertTrue("cosine ${cosine.min()}", cosine.min() >= LEAST_COSINE)
    }

    @Test
    fun candidatesRankAsInPython() {
        var compared = 0
        var largest = 0.0
        for (line in Fixtures.lines("embeddings.jsonl").take(8)) {
            encoder.onScreen(Fixtures.bitmap(line.getString("image")))
            val candidates = line.getJSONArray("candidates").strings()
            val ranked = encoder.rank(line.getString("text"), candidates, line.getJSONArray("user").floats()).await()
            val scores = line.getJSONArray("ranked").let { list -> List(list.length()) { list.getJSONArray(it) } }
            assertEquals(scores.map { it.getString(0) }, ranked.map { it.candidate })
            largest = maxOf(largest, scores.zip(ranked) { score, entry -> abs(score.getDouble(1) - entry.score) }.max())
            compared += scores.size
        }
        val result = "same order, scores within %.1e".format(largest)
        Fixtures.reportParity("ranking", "ranked candidates, order and score", compared, result, largest < 1e-5)
        assertTrue("scores differ by $largest", largest < 1e-5)
    }

    /** The real engine, the bits of the user vector that it was last given, and the number of ids. */
    private class Watched(private val engine: Engine) : Engine by engine {
        var user = listOf<Int>()
        var ids = 0

        override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) {
            inputs["input_ids"]?.let { ids = it.capacity() / Int.SIZE_BYTES }
            inputs["user"]?.let { given -> user = List(given.capacity() / 4) { given.getInt(4 * it) } }
            engine.run(signature, inputs, outputs)
        }
    }

    @Test
    fun usersOfAnyScaleReachTheModelAsInPython() {
        lateinit var watched: Watched
        val encoder = ScreenEncoder.open(FolderSource(Fixtures.bundle)) { model -> Watched(LiteRtEngine(model)).also { watched = it } }
        encoder.onScreen(screen).await()
        val lines = Fixtures.lines("users.jsonl")
        val same = lines.count { line ->
            val embedding = encoder.onText("see you at", line.getJSONArray("user").floats()).await()
            assertEquals(1.0, embedding.sumOf { it.toDouble() * it }, 1e-4)
            watched.user == line.getJSONArray("bits").ints()
        }
        encoder.close()
        assertTrue(encoder.awaitClosed(60_000))
        val what = "user vectors of scales 1e-45 to 3e38, as the model gets them"
        Fixtures.reportParity("users", what, lines.size, "$same bit for bit", same == lines.size)
        assertTrue(lines.size > 100)
        assertEquals(lines.size, same)
    }

    @Test
    fun aTextIsRunWithoutMostOfItsPaddingAndComesOutTheSame() {
        lateinit var watched: Watched
        val bundle = EncoderBundle.open(FolderSource(Fixtures.bundle))
        val pipeline = Pipeline(bundle, LiteRtEngine(bundle.map(bundle.model())).let { Watched(it).also { made -> watched = made } })
        val tokenizer = Tokenizer.open(bundle)
        val direct = watched.signatures.getValue("text").inputs.keys.associateWith { Fixtures.direct(64 * Int.SIZE_BYTES) }
        val token = Fixtures.direct(256 * 4)
        for ((text, length) in listOf("ok" to 8, "see you at" to 8, "see you at the station at noon, or a bit later" to 16, "word ".repeat(99) to 64)) {
            val embedding = pipeline.textEmbedding(text)
            assertEquals(text, length, watched.ids)
            tokenizer.encode(text, direct.getValue("input_ids").asIntBuffer(), direct.getValue("attention_mask").asIntBuffer())
            watched.run("text", direct, mapOf("text_token" to token))
            val whole = FloatArray(256) { token.getFloat(4 * it) }
            assertTrue(text, Metrics.cosine(listOf(embedding), listOf(whole)).single() >= 0.99999)
        }
        watched.close()
    }

    @Test
    fun manyTextsAndScreensAreEachAloneAndTheKeptScreenStays() {
        val kept = encoder.encode(screen, "see you at").await()
        val texts = listOf("ok", "see you at", "word ".repeat(99))
        val found = encoder.textEmbeddings(texts).await()
        texts.zip(found) { text, embedding -> assertArrayEquals(text, encoder.textEmbedding(text).await(), embedding, 0f) }
        val (one, other) = encoder.screenTokens(listOf(screen, otherScreen)).await()
        assertEquals(5 * 256, one.size)
        assertNotEquals(one.toList(), other.toList())
        assertArrayEquals(one, encoder.screenTokens(listOf(screen)).await().single(), 0f)
        assertArrayEquals(kept, encoder.onText("see you at").await(), 0f)
        assertTrue(encoder.textEmbeddings(emptyList()).await().isEmpty())
        val long = encoder.textEmbeddings(List(100_000) { "text $it" })
        long.cancel()
        assertThrows(CancellationException::class.java) { long.await() }
        assertArrayEquals(kept, encoder.onText("see you at").await(), 0f)
    }

    @Test
    fun aTextOnTheKeptScreenIsTheWholeAtOnce() {
        val whole = encoder.encode(screen, "see you at").await()
        encoder.onScreen(otherScreen).await()
        assertNotEquals(whole.toList(), encoder.onText("see you at").await().toList())
        encoder.onScreen(screen).await()
        assertArrayEquals(whole, encoder.onText("see you at").await(), 0f)
        assertArrayEquals(whole, encoder.onText("see you at", FloatArray(64)).await(), 0f)
        assertEquals(1.0, whole.sumOf { it.toDouble() * it }, 1e-4)
    }

    @Test
    fun aTextBeforeAnyScreenIsRefused() {
        val message = assertThrows(NoScreenException::class.java) { encoder.onText("hello").await() }.message!!
        assertTrue(message.contains("onScreen"))
        assertThrows(NoScreenException::class.java) { encoder.rank("hello", listOf("a")).await() }
    }

    @Test
    fun badInputIsRefusedAndTheLastScreenStays() {
        val before = encoder.encode(screen, "see you at").await()
        val recycled = Bitmap.createBitmap(4, 4, Bitmap.Config.ARGB_8888).apply { recycle() }
        assertThrows(ImageException::class.java) { encoder.onScreen(recycled).await() }
        assertThrows(ImageException::class.java) { encoder.encode(recycled, "x").await() }
        for (user in listOf(FloatArray(63), FloatArray(65), FloatArray(0))) {
            val message = assertThrows(UserVectorException::class.java) { encoder.onText("x", user).await() }.message!!
            assertEquals("the user vector must be 64 numbers, not ${user.size}", message)
            assertThrows(UserVectorException::class.java) { encoder.encode(otherScreen, "x", user).await() }
        }
        val infinite = FloatArray(64).also { it[5] = Float.NaN }
        val message = assertThrows(UserVectorException::class.java) { encoder.onText("x", infinite).await() }.message!!
        assertTrue(message, message.contains("NaN at position 5"))
        assertThrows(CandidatesException::class.java) { encoder.rank("x", emptyList()).await() }
        assertEquals(256, encoder.onText("word ".repeat(20_000)).await().size)
        assertEquals(256, encoder.onText("\uD800").await().size)
        assertArrayEquals(before, encoder.onText("see you at").await(), 0f)
    }

    @Test
    fun theUserVectorIsTakenAsItWasWhenCalled() {
        val user = FloatArray(64) { 0.1f }
        encoder.onScreen(screen)
        val expected = encoder.onText("x", user.clone()).await()
        val pending = encoder.onText("x", user)
        user.fill(9f)
        assertArrayEquals(expected, pending.await(), 0f)
    }

    @Test
    fun resultsComeOnTheMainThreadAndCancelledOnesNotAtAll() {
        val delivered = mutableListOf<Pair<String, Thread>>()
        encoder.onScreen(screen)
        val dropped = List(20) { encoder.onText("typed $it").onDone { delivered += "dropped" to Thread.currentThread() } }
        dropped.forEach { it.cancel() }
        encoder.onText("kept").onDone { delivered += "kept" to Thread.currentThread() }
        Fixtures.waitUntil("the result") { delivered.isNotEmpty() }
        assertEquals(listOf("kept" to Thread.currentThread()), delivered)
        assertThrows(CancellationException::class.java) { dropped.last().await() }
    }

    @Test
    fun aResultThatIsThereAlreadyIsNotDeliveredAfterCancelling() {
        var delivered = false
        val pending = encoder.textEmbedding("x").onDone { delivered = true }
        pending.await()
        pending.cancel()
        val later = encoder.textEmbedding("y")
        var laterDelivered = false
        later.onDone { laterDelivered = true }
        Fixtures.waitUntil("the later one") { laterDelivered }
        assertFalse(delivered)
    }

    @Test
    fun cancellingAScreenInMidRunKeepsTheLastOne() {
        val before = encoder.encode(screen, "x").await()
        lateinit var pending: Pending<Unit>
        val begun = CountDownLatch(1)
        encoder.timing = TimingListener { stage, _ -> if (stage == Stage.PREPROCESS) begun.await().also { pending.cancel() } }
        pending = encoder.onScreen(otherScreen)
        begun.countDown()
        assertThrows(CancellationException::class.java) { pending.await() }
        encoder.timing = null
        assertArrayEquals(before, encoder.onText("x").await(), 0f)
    }

    @Test
    fun twoThreadsAtOnceGetTheirOwnResults() {
        val texts = List(20) { "text number $it" }
        encoder.onScreen(screen).await()
        val expected = texts.associateWith { encoder.onText(it).await().toList() }
        val wrong = java.util.concurrent.ConcurrentLinkedQueue<String>()
        val threads = List(2) {
            thread { texts.shuffled().filterTo(wrong) { encoder.onText(it).await().toList() != expected[it] } }
        }
        threads.forEach { it.join() }
        assertEquals(emptyList<String>(), wrong.toList())
    }

    @Test
    fun closingInMidRunEndsEverythingInAnOrderlyWay() {
        val other = Fixtures.open()
        val pending = List(50) { other.encode(screen, "text $it") }
        pending[0].await()
        other.close()
        other.close()
        val ends = pending.map { runCatching { it.await() }.exceptionOrNull() }
        assertTrue(ends.all { it == null || it is ClosedException })
        assertTrue(other.awaitClosed(60_000))
        assertThrows(ClosedException::class.java) { other.onText("x").await() }
        var told: Throwable? = null
        other.onScreen(screen).onDone { told = it.exceptionOrNull() }
        Fixtures.waitUntil("the refusal") { told != null }
        assertTrue(told is ClosedException)
    }

    @Test
    fun openingElsewhereDeliversTheEncoderOrTheReason() {
        var opened: Result<ScreenEncoder>? = null
        ScreenEncoder.openAsync { Fixtures.open() }.onDone { opened = it }
        Fixtures.waitUntil("opening") { opened != null }
        opened!!.getOrThrow().close()
        opened = null
        ScreenEncoder.openAsync { Fixtures.open(java.io.File("nowhere")) }.onDone { opened = it }
        Fixtures.waitUntil("the refusal") { opened != null }
        assertTrue(opened!!.exceptionOrNull() is BundleException)
    }

    @Test
    fun pythonAndKotlinFindTheSameParity() {
        val check = dev.pocketencoder.check.PhoneCheck(encoder, "host", 1, 5_000_000)
        val shares = mutableListOf<Double>()
        val report = check.run { shares += it }
        val json = report.toJson()
        val expected = JSONArray(java.io.File(Fixtures.work, "fixtures/parity.json").readText())
        var largest = 0.0
        assertEquals(expected.length(), json.getJSONArray("rows").length())
        for (index in 0 until expected.length()) {
            val (wanted, found) = expected.getJSONObject(index) to json.getJSONArray("rows").getJSONObject(index)
            assertEquals(wanted.keys().asSequence().toSet(), found.keys().asSequence().toSet())
            for (key in listOf("engine", "precision", "signature", "samples", "passed")) assertEquals(wanted.get(key), found.get(key))
            assertEquals(wanted.getJSONArray("checks").length(), found.getJSONArray("checks").length())
            for (key in listOf("cosine_min", "cosine_mean", "mean_centred_cosine_min", "mean_centred_cosine_mean", "self_retrieval")) {
                largest = maxOf(largest, abs(wanted.getDouble(key) - found.getDouble(key)))
            }
        }
        Fixtures.reportParity(
            "golden", "parity figures of the golden samples, as `python -m runtime parity --json`", expected.length(),
            "within %.1e".format(largest), largest < 1e-4,
        )
        assertTrue("figures differ by $largest", largest < 1e-4)
        assertTrue(report.parityPassed && report.memoryPassed == true)
        assertEquals(shares.sorted(), shares)
        assertEquals(listOf("screen", "keystroke", "encode"), report.latency.map { it.stage })
        assertTrue(report.latency.all { it.p50Ms > 0 && it.p90Ms >= it.p50Ms && it.runs == 50 })
        val unmeasured = report.copy(privateBytes = null).toJson().getJSONArray("memory").getJSONObject(0)
        assertEquals(JSONObject.NULL, unmeasured.get("private_bytes"))
    }

    private companion object {
        const val LEAST_COSINE = 0.9999
    }
}
