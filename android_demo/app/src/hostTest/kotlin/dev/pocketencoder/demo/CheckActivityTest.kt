package dev.pocketencoder.demo

import android.content.Intent
import android.view.View
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import dev.pocketencoder.Fixtures
import org.json.JSONArray
import org.json.JSONObject
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File

@RunWith(RobolectricTestRunner::class)
@Config(application = HostApplication::class, qualifiers = PHONE)
class CheckActivityTest {
    private val main by lazy { Robolectric.buildActivity(MainActivity::class.java).setup() }
    private val controller by lazy { Robolectric.buildActivity(CheckActivity::class.java) }
    private val activity get() = controller.get()

    @After
    fun leave() {
        app.endSession()
    }

    /** As a user gets there: from the main screen. */
    private fun begin() {
        main
        Fixtures.waitUntil("the encoder") { app.session.state.ready }
        main.get().findViewById<View>(R.id.check).performClick()
        assertEquals(CheckActivity::class.java.name, shadowOf(main.get()).nextStartedActivity.component!!.className)
        main.pause().stop()
        controller.setup()
        Fixtures.waitUntil("the check") { (app.session.state.check as? CheckState.Running)?.let { it.percent >= 5 } ?: false }
    }

    private fun finished() {
        Fixtures.waitUntil("the report") { app.session.state.check is CheckState.Done }
        Fixtures.waitUntil("the cards") { activity.findViewById<LinearLayout>(R.id.check_results).childCount == 3 }
    }

    @Test
    fun parityLatencyAndMemoryAreJudgedAndShared() {
        begin()
        capture(activity, "check_phone_light_running")
        finished()
        val results = activity.findViewById<LinearLayout>(R.id.check_results)
        val cards = List(results.childCount) { results.getChildAt(it).contentDescription.toString() }
        assertTrue(cards[0], cards[0].startsWith("Parity with PyTorch: pass. 32 golden samples of the bundle\nvision: mean-centred"))
        assertTrue(cards[1], cards[1].matches(Regex("Latency of a whole encode: (pass|fail)\\. p50 [\\d.]+ ms, p90 [\\d.]+ ms, limit 19 ms")))
        assertTrue(cards[2], cards[2].matches(Regex("Private memory: (pass|fail)\\. [\\d.]+ MB, limit 6\\.0 MB")))
        capture(activity, "check_phone_light")
        activity.findViewById<Button>(R.id.check_share).performClick()
        val chooser = shadowOf(activity).nextStartedActivity
        val sent = chooser.getParcelableExtra(Intent.EXTRA_INTENT, Intent::class.java)!!
        assertEquals(Intent.ACTION_SEND, sent.action)
        val json = JSONObject(sent.getStringExtra(Intent.EXTRA_TEXT)!!)
        val python = JSONArray(File(Fixtures.work, "fixtures/parity.json").readText())
        fun keys(rows: JSONArray) = rows.getJSONObject(3).keys().asSequence().toSet()
        assertEquals(keys(python), keys(json.getJSONArray("rows")))
        assertTrue(json.getBoolean("passed"))
    }

    @Test
    @Config(qualifiers = TABLET_NIGHT)
    fun darkOnATablet() {
        begin()
        finished()
        capture(activity, "check_tablet_dark")
    }

    @Test
    fun stoppingAndBeginningAgain() {
        begin()
        activity.findViewById<Button>(R.id.check_again).performClick()
        Fixtures.waitUntil("the stop") { app.session.state.check is CheckState.Idle }
        assertEquals(activity.getString(R.string.check_again), activity.findViewById<TextView>(R.id.check_again).text)
        activity.findViewById<Button>(R.id.check_again).performClick()
        Fixtures.waitUntil("the second run") { app.session.state.check is CheckState.Running }
    }

    @Test
    fun turningThePhoneDoesNotBeginAgain() {
        begin()
        val percent = (app.session.state.check as CheckState.Running).percent
        controller.recreate()
        assertTrue((app.session.state.check as CheckState.Running).percent >= percent)
        finished()
    }
}
