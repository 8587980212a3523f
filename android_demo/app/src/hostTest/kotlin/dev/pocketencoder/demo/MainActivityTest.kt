package dev.pocketencoder.demo

import android.app.Activity
import android.content.Intent
import android.content.res.Configuration
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import dev.pocketencoder.EngineException
import dev.pocketencoder.Fixtures
import org.json.JSONArray
import org.json.JSONObject
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNotSame
import org.junit.Assert.assertNull
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File

@RunWith(RobolectricTestRunner::class)
@Config(application = HostApplication::class, qualifiers = PHONE)
class MainActivityTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val controller by lazy { Robolectric.buildActivity(MainActivity::class.java).setup() }
    private val activity: MainActivity get() = controller.get()
    private val typed get() = activity.findViewById<EditText>(R.id.typed)

    private var left = false

    @After
    fun leave() {
        if (left) return
        left = true
        activity.finish()
        controller.pause().stop().destroy()
    }

    private fun ready() {
        controller
        Fixtures.waitUntil("the first screen") {
            app.session.state.run { problem != null || ranked.isNotEmpty() && embedding != null && thumbnails.isNotEmpty() }
        }
        assertNull(app.session.state.problem)
    }

    private fun candidates(): List<String> = activity.findViewById<LinearLayout>(R.id.candidates).let { list ->
        List(list.childCount) { list.getChildAt(it).findViewById<TextView>(R.id.candidate_text).text.toString() }
    }

    private fun text(id: Int) = activity.findViewById<TextView>(id).text.toString()
    private fun shown(id: Int) = activity.findViewById<View>(id).visibility == View.VISIBLE

    private fun clickSample(index: Int) {
        val before = app.session.state.embedding
        activity.findViewById<ViewGroup>(R.id.samples).getChildAt(index).performClick()
        Fixtures.waitUntil("sample $index") { app.session.state.run { embedding !== before && ranked.isNotEmpty() } }
        settle()
    }

    /** Waits until ranking and embedding stand still. */
    private fun settle() {
        var last = app.session.state
        Fixtures.waitUntil("rest") { (last === app.session.state).also { last = app.session.state; Thread.sleep(if (it) 0 else 150) } }
    }

    private fun pick(file: File) {
        activity.findViewById<View>(R.id.open).performClick()
        val asked = shadowOf(activity).nextStartedActivityForResult.intent
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.action)
        assertEquals("image/*", asked.type)
        Robolectric.buildContentProvider(FileProvider::class.java).create(FileProvider.AUTHORITY)
        shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, Intent().setData(FileProvider.uri(file)))
    }

    @Test
    fun aSampleIsShownWithWhatIsTypedOnIt() {
        ready()
        assertTrue(typed.text.startsWith("The children are still talking"))
        assertEquals(app.session.state.ranked.take(6).map { it.candidate }, candidates())
        assertTrue(text(R.id.memory_text).contains("of 6.0 MB"))
        assertTrue(activity.findViewById<View>(R.id.latency).contentDescription.contains("Limit: 19"))
        capture(activity, "main_phone_light")
        activity.findViewById<ScrollView>(R.id.root).run { scrollTo(0, getChildAt(0).height - height) }
        capture(activity, "main_phone_light_figures")
    }

    @Test
    fun candidatesFollowEveryKey() {
        ready()
        typed.setText("")
        val seen = mutableListOf<List<String>>()
        for (key in "see you at") {
            val before = app.session.state
            typed.append(key.toString())
            Fixtures.waitUntil("'$key'") { app.session.state.run { embedding !== before.embedding && ranked !== before.ranked } }
            seen += candidates()
        }
        assertTrue("the order never changed", seen.toSet().size > 3)
        assertEquals(app.session.state.ranked.take(6).map { it.candidate }, seen.last())
        assertTrue(app.session.state.keystroke!!.runs >= 10)
        capture(activity, "main_phone_light_typed")
    }

    @Test
    @Config(qualifiers = "+night")
    fun darkOnAPhone() {
        ready()
        clickSample(1)
        assertEquals("feed", app.session.state.title)
        assertTrue(typed.text.startsWith("is that the one next to the old"))
        capture(activity, "main_phone_dark")
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-$PHONE")
    fun rightToLeft() {
        ready()
        clickSample(2)
        assertEquals(View.LAYOUT_DIRECTION_RTL, activity.window.decorView.layoutDirection)
        assertTrue(typed.text.startsWith("وضعتها في السيارة"))
        capture(activity, "main_phone_rtl")
    }

    @Test
    @Config(qualifiers = TABLET)
    fun lightOnATablet() {
        ready()
        clickSample(3)
        assertEquals("", typed.text.toString())
        capture(activity, "main_tablet_light")
    }

    @Test
    @Config(qualifiers = TABLET_LAND_NIGHT)
    fun darkOnATablet() {
        ready()
        capture(activity, "main_tablet_dark")
    }

    @Test
    fun turningThePhoneInMidRunKeepsEverything() {
        ready()
        val encodersBefore = app.opened
        typed.append("u")
        val (before, text) = activity to typed.text.toString()
        RuntimeEnvironment.setQualifiers("+w891dp-h411dp-land")
        controller.configurationChange()
        assertNotSame(before, activity)
        assertEquals(Configuration.ORIENTATION_LANDSCAPE, activity.resources.configuration.orientation)
        settle()
        assertEquals(text, typed.text.toString())
        assertEquals(encodersBefore, app.opened)
        assertTrue(candidates().first().isNotEmpty())
        capture(activity, "main_phone_landscape")
    }

    @Test
    fun anImageOfOnesOwn() {
        ready()
        pick(File(Fixtures.lines("images.jsonl").first { it.getString("image").contains("notes") }.getString("image")))
        Fixtures.waitUntil("the image") { app.session.state.selected == null }
        settle()
        assertEquals("", typed.text.toString())
        val description = activity.findViewById<View>(R.id.screenshot).contentDescription
        assertEquals("Screenshot, your screenshot, with the regions title, input, keyboard and status", description)
        capture(activity, "main_phone_own_image")
    }

    @Test
    fun aFileThatIsNoImageIsRefusedAndTheScreenStays() {
        ready()
        val screenshot = app.session.state.screenshot
        pick(temporary.newFile("notes.pdf").apply { writeText("not an image") })
        Fixtures.waitUntil("the message") { shown(R.id.error) }
        assertEquals("notes.pdf: this file cannot be read as an image. Choose a PNG, JPEG or WebP.", text(R.id.error_text))
        assertSame(screenshot, app.session.state.screenshot)
        capture(activity, "error_image_phone_light")
        activity.findViewById<View>(R.id.error_action).performClick()
        assertTrue(!shown(R.id.error))
    }

    @Test
    @Config(qualifiers = "+night")
    fun anEncoderThatDoesNotOpenCanBeTriedAgain() {
        app.failure = EngineException("TensorFlow Lite cannot open the model: not enough memory")
        controller
        Fixtures.waitUntil("the message") { shown(R.id.error) }
        assertEquals(activity.getString(R.string.retry), text(R.id.error_action))
        assertTrue(!typed.isEnabled)
        capture(activity, "error_open_phone_dark")
        activity.findViewById<View>(R.id.error_action).performClick()
        ready()
        assertTrue(!shown(R.id.error))
    }

    @Test
    fun leavingEndsTheEncoder() {
        ready()
        val first = app.session
        leave()
        assertNotSame(first, app.session)
        app.endSession()
    }

    @Test
    fun everythingThatCanBeTouchedIsLargeEnoughAndHasAName() {
        ready()
        val least = activity.resources.getDimensionPixelSize(R.dimen.touch)
        val touchable = activity.findViewById<View>(R.id.root).visible().filter { it.isClickable }
        assertTrue(touchable.size >= 7)
        for (view in touchable) {
            val name = view.contentDescription ?: (view as? EditText)?.hint ?: (view as? TextView)?.text
            assertTrue("$view has no name", !name.isNullOrBlank())
            assertTrue("$name is ${view.width}x${view.height}", view.width >= least && view.height >= least)
        }
        for (id in listOf(R.id.screenshot, R.id.embedding, R.id.latency, R.id.memory_card)) {
            assertNotEquals(null, activity.findViewById<View>(id).contentDescription)
        }
    }

    @Test
    fun regionsAreReported() {
        val regions = ScreenshotView.Region.values().associate {
            it.key to JSONArray(listOf(it.top, it.bottom, it.left, it.right))
        }
        Fixtures.report("regions", JSONObject().put("regions", JSONObject(regions)))
        assertEquals(4, regions.size)
    }
}

const val PHONE = "w411dp-h891dp-port-xhdpi"
const val TABLET = "w800dp-h1280dp-port-hdpi"
const val TABLET_NIGHT = "w800dp-h1280dp-port-night-hdpi"
const val TABLET_LAND_NIGHT = "w1280dp-h800dp-land-night"
