package dev.pocketencoder

import android.graphics.Bitmap
import dev.pocketencoder.check.Memory
import org.json.JSONObject
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.io.File
import java.lang.management.BufferPoolMXBean
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer

/** Memory and time. Times are those of this thread on a CPU, so that other work on the machine counts for less. */
@RunWith(RobolectricTestRunner::class)
class ResourcesTest {
    private val threads = ManagementFactory.getThreadMXBean()
    private val buffers = ManagementFactory.getPlatformMXBeans(BufferPoolMXBean::class.java).first { it.name == "direct" }

    private fun heapBytes(): Long {
        repeat(3) {
            System.gc()
            Thread.sleep(100) // what owns native memory is freed a little later
        }
        return Runtime.getRuntime().run { totalMemory() - freeMemory() }
    }

    private fun medianMs(runs: Int, work: () -> Unit): Double = List(runs) {
        val begin = threads.currentThreadCpuTime
        work()
        (threads.currentThreadCpuTime - begin) / 1e6
    }.drop(runs / 2).sorted().let { it[it.size / 2] }

    @Test
    fun aThousandEncodesKeepMemoryFlat() {
        val screens = List(2) { Bitmap.createBitmap(270, 585, Bitmap.Config.ARGB_8888).apply { eraseColor(-it) } }
        Fixtures.open().use { encoder ->
            fun encode(count: Int) = repeat(count) {
                if (it % 10 == 0) encoder.onScreen(screens[it / 10 % 2])
                encoder.onText("text number $it").await()
            }
            encode(300)
            val (heap, direct, private) = Triple(heapBytes(), buffers.count, Memory.privateBytes()!!)
            encode(1000)
            val grown = JSONObject().put("heap_bytes", heapBytes() - heap).put("private_bytes", Memory.privateBytes()!! - private)
            Fixtures.report("leaks", JSONObject().put("growth_in_1000_encodes", grown))
            assertTrue("direct buffers: $direct, then ${buffers.count}", buffers.count <= direct) // those of earlier tests may go
            assertTrue("the heap grew: $grown", grown.getLong("heap_bytes") < 1_000_000)
            assertTrue("private memory grew: $grown", grown.getLong("private_bytes") < 8_000_000)
        }
    }

    @Test
    fun openingAndClosingGivesEverythingBack() {
        fun cycle() = Fixtures.open().run {
            onScreen(Bitmap.createBitmap(9, 9, Bitmap.Config.ARGB_8888)).await()
            close()
            assertTrue(awaitClosed(60_000))
        }
        repeat(3) { cycle() }
        heapBytes()
        val before = Memory.privateBytes()!!
        repeat(10) { cycle() }
        heapBytes()
        val grown = Memory.privateBytes()!! - before
        assertTrue("ten encoders left $grown bytes", grown < 30_000_000) // one holds 10 MB
    }

    @Test
    fun whatKotlinDoesBesideTheModelIsTimed() {
        val screens = Fixtures.lines("images.jsonl").map { it.getString("image") }
        val screenshot = Fixtures.bitmap(screens.first { it.endsWith("2400x1080.png") })
        fun keystroke(folder: File): Double {
            val pipeline = withIdleModel(folder)
            pipeline.screen(screenshot, Stop())
            return medianMs(3000) { pipeline.embed("see you at the station at half past seven, bring the tickets please", null, Stop()) }
        }
        val times = JSONObject().put("keystroke_beside_model_ms", keystroke(Fixtures.bundle))
            .put("keystroke_beside_model_byte_bpe_ms", keystroke(Fixtures.byteBpeBundle))
        val out = Fixtures.direct(256 * 128 * 3)
        val preprocess = Preprocess(256, 128).let { medianMs(60) { it.resize(screenshot, out) } }
        Fixtures.report("times", times.put("preprocess_1080x2400_ms", preprocess))
        assertTrue(times.keys().asSequence().all { times.getDouble(it) > 0 })
    }

    private fun withIdleModel(folder: File): Pipeline {
        val bundle = EncoderBundle.open(FolderSource(folder))
        val signatures = LiteRtEngine(bundle.map(bundle.model())).use { it.signatures }
        val idle = object : Engine {
            override val signatures = signatures
            override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) = Unit
            override fun close() = Unit
        }
        return Pipeline(bundle, idle)
    }
}
