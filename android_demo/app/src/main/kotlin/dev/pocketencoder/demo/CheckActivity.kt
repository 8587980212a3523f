package dev.pocketencoder.demo

import android.app.Activity
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.TextView
import dev.pocketencoder.check.ParityRow
import dev.pocketencoder.check.PhoneReport
import java.util.Locale

/** "Check this phone": parity with PyTorch, latency and memory, measured here. */
class CheckActivity : Activity() {
    private val session get() = (application as DemoApplication).session
    private val results by lazy { findViewById<LinearLayout>(R.id.check_results) }
    private val again by lazy { findViewById<Button>(R.id.check_again) }
    private val share by lazy { findViewById<Button>(R.id.check_share) }
    private var shown: CheckState? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_check)
        findViewById<TextView>(R.id.check_device).text = "${Build.MANUFACTURER} ${Build.MODEL}, Android ${Build.VERSION.RELEASE}"
        again.setOnClickListener { if (session.state.check is CheckState.Running) session.stopCheck() else session.startCheck() }
        share.setOnClickListener { (session.state.check as? CheckState.Done)?.let { share(it.report) } }
    }

    override fun onStart() {
        super.onStart()
        session.observer = ::render
        if (shown is CheckState.Idle) session.startCheck()
    }

    override fun onStop() {
        session.observer = null
        if (isFinishing) session.stopCheck()
        super.onStop()
    }

    private fun share(report: PhoneReport) {
        val send = Intent(Intent.ACTION_SEND).setType("application/json")
            .putExtra(Intent.EXTRA_SUBJECT, getString(R.string.check_share_subject, report.device))
            .putExtra(Intent.EXTRA_TEXT, report.toJson().toString(1))
        startActivity(Intent.createChooser(send, null))
    }

    private fun render(state: UiState) {
        if (!state.ready) findViewById<TextView>(R.id.check_status).text = state.problem?.message ?: getString(R.string.check_waiting)
        val check = state.check
        if (check == shown) return
        shown = check
        findViewById<View>(R.id.check_running).visibility = if (check is CheckState.Done) View.GONE else View.VISIBLE
        findViewById<View>(R.id.check_progress).visibility = if (check is CheckState.Running) View.VISIBLE else View.GONE
        share.visibility = if (check is CheckState.Done) View.VISIBLE else View.GONE
        again.setText(if (check is CheckState.Running) R.string.check_stop else R.string.check_again)
        if (check !is CheckState.Done) results.removeAllViews()
        when (check) {
            is CheckState.Idle -> status("")
            is CheckState.Running -> {
                status(getString(R.string.check_running, check.percent))
                findViewById<ProgressBar>(R.id.check_progress).progress = check.percent
            }
            is CheckState.Failed -> status(check.message)
            is CheckState.Done -> renderReport(check.report)
        }
    }

    private fun status(text: String) {
        findViewById<TextView>(R.id.check_status).text = text
    }

    private fun renderReport(report: PhoneReport) {
        results.removeAllViews()
        val samples = getString(R.string.check_samples, report.parity[0].samples)
        val parity = report.parity.map { row -> "${row.signature}: ${figures(row)}" }
        card(R.string.check_parity, (listOf(samples) + parity).joinToString("\n"), report.parityPassed)
        val encode = report.latency.first { it.stage == "encode" }
        val latency = getString(
            R.string.check_latency_figures,
            FiguresPart.ms(encode.p50Ms), FiguresPart.ms(encode.p90Ms), FiguresPart.plain(report.latencyLimitMs),
        )
        card(R.string.check_latency, latency, report.latencyPassed)
        val memory = report.privateBytes?.let {
            getString(R.string.check_memory_figures, FiguresPart.megabytes(it), FiguresPart.megabytes(report.memoryLimitBytes))
        }
        card(R.string.check_memory, memory ?: getString(R.string.not_measured), report.memoryPassed)
    }

    private fun figures(row: ParityRow) = getString(
        R.string.check_parity_figures,
        String.format(Locale.getDefault(), "%.4f", row.figures.getValue("mean_centred_cosine_min")),
        String.format(Locale.getDefault(), "%.3f", row.figures.getValue("max_abs")),
        String.format(Locale.getDefault(), "%.0f%%", 100 * row.figures.getValue("self_retrieval")),
    )

    private fun card(title: Int, detail: String, passed: Boolean?) {
        val card = layoutInflater.inflate(R.layout.card_verdict, results, false)
        val verdict = card.findViewById<TextView>(R.id.verdict)
        card.findViewById<TextView>(R.id.verdict_title).setText(title)
        card.findViewById<TextView>(R.id.verdict_detail).text = detail
        verdict.setText(if (passed == null) R.string.not_measured else if (passed) R.string.pass else R.string.fail)
        verdict.setTextColor(getColor(if (passed == null) R.color.text_dim else if (passed) R.color.pass else R.color.fail))
        card.contentDescription = "${getString(title)}: ${verdict.text}. $detail"
        results.addView(card)
    }
}
