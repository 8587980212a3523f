package dev.pocketencoder.demo

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.os.Bundle
import android.text.Editable
import android.text.TextWatcher
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.ImageButton
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView

/** A screenshot, what is typed on it, and what the encoder makes of both. */
class MainActivity : Activity() {
    private val app get() = application as DemoApplication
    private val typed by lazy { findViewById<EditText>(R.id.typed) }
    private val samples by lazy { findViewById<LinearLayout>(R.id.samples) }
    private val candidates by lazy { findViewById<LinearLayout>(R.id.candidates) }
    private val figures by lazy { FiguresPart(this) }
    private var shownSamples: List<Sample> = emptyList()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        typed.isSaveEnabled = false // the session keeps the text
        repeat(SHOWN_CANDIDATES) { layoutInflater.inflate(R.layout.row_candidate, candidates) }
        typed.addTextChangedListener(object : TextWatcher {
            override fun beforeTextChanged(text: CharSequence, start: Int, count: Int, after: Int) = Unit
            override fun onTextChanged(text: CharSequence, start: Int, before: Int, count: Int) = Unit
            override fun afterTextChanged(text: Editable) = app.session.type(text.toString())
        })
        findViewById<Button>(R.id.open).setOnClickListener { pickImage() }
        findViewById<Button>(R.id.check).setOnClickListener { startActivity(Intent(this, CheckActivity::class.java)) }
        findViewById<Button>(R.id.error_action).setOnClickListener { onErrorAction() }
    }

    override fun onStart() {
        super.onStart()
        app.session.observer = ::render
    }

    override fun onStop() {
        app.session.observer = null
        super.onStop()
    }

    override fun onDestroy() {
        super.onDestroy()
        if (isFinishing) app.endSession() // not where the screen was only rotated
    }

    private fun pickImage() {
        val pick = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")
        try {
            startActivityForResult(pick, PICK_IMAGE)
        } catch (_: ActivityNotFoundException) {
            findViewById<View>(R.id.open).isEnabled = false // a device without any file picker
        }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val image = data?.data
        if (requestCode == PICK_IMAGE && resultCode == RESULT_OK && image != null) app.session.select(image)
    }

    private fun onErrorAction() {
        if (app.session.state.problem?.canRetry == true) app.session.open() else app.session.dismissProblem()
    }

    private fun render(state: UiState) {
        renderProblem(state)
        renderSamples(state)
        findViewById<ScreenshotView>(R.id.screenshot).show(state.screenshot, state.title, state.masks)
        for (view in listOf<View>(findViewById(R.id.check), findViewById(R.id.open), typed)) {
            view.isEnabled = state.ready
            view.alpha = if (state.ready) 1f else DISABLED_ALPHA
        }
        if (typed.text.toString() != state.text) {
            typed.setText(state.text)
            typed.setSelection(typed.length())
        }
        renderCandidates(state)
        figures.render(state)
    }

    private fun renderProblem(state: UiState) {
        val problem = state.problem
        findViewById<View>(R.id.error).visibility = if (problem == null) View.GONE else View.VISIBLE
        findViewById<TextView>(R.id.error_text).text = problem?.message
        findViewById<Button>(R.id.error_action).setText(if (problem?.canRetry == true) R.string.retry else R.string.dismiss)
    }

    private fun renderSamples(state: UiState) {
        if (shownSamples !== state.samples) {
            shownSamples = state.samples
            while (samples.childCount > 1) samples.removeViewAt(0) // the last one opens an image
            state.samples.forEachIndexed { index, sample -> samples.addView(thumbnail(sample), index) }
        }
        state.samples.forEachIndexed { index, sample ->
            val button = samples.getChildAt(index) as ImageButton
            button.isSelected = sample.id == state.selected
            button.setImageBitmap(state.thumbnails[sample.id])
        }
    }

    private fun thumbnail(sample: Sample) = ImageButton(this).apply {
        val padding = (THUMBNAIL_BORDER_DP * resources.displayMetrics.density).toInt()
        setBackgroundResource(R.drawable.thumb)
        setPadding(padding, padding, padding, padding)
        scaleType = ImageView.ScaleType.CENTER_CROP
        contentDescription = getString(R.string.sample_description, sample.kind)
        layoutParams = LinearLayout.LayoutParams(
            resources.getDimensionPixelSize(R.dimen.touch), resources.getDimensionPixelSize(R.dimen.thumb_height),
        ).apply { marginEnd = resources.getDimensionPixelSize(R.dimen.gap) }
        setOnClickListener { app.session.select(sample) }
    }

    private fun renderCandidates(state: UiState) {
        for (place in 0 until candidates.childCount) {
            val row = candidates.getChildAt(place) as ViewGroup
            val ranked = state.ranked.getOrNull(place)
            row.visibility = if (ranked == null) View.INVISIBLE else View.VISIBLE
            if (ranked == null) continue
            val score = getString(R.string.candidate_score, ranked.score)
            row.findViewById<TextView>(R.id.candidate_text).text = ranked.candidate
            row.findViewById<TextView>(R.id.candidate_score).text = score
            row.findViewById<BarView>(R.id.candidate_bar).show(ranked.score.toFloat(), null)
            row.contentDescription = getString(R.string.candidate_description, place + 1, ranked.candidate, score)
        }
    }

    private companion object {
        const val PICK_IMAGE = 1
        const val SHOWN_CANDIDATES = 6
        const val THUMBNAIL_BORDER_DP = 3
        const val DISABLED_ALPHA = 0.4f
    }
}
