package dev.pocketencoder.demo

import android.content.res.AssetManager
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import dev.pocketencoder.BundleException
import org.json.JSONException
import org.json.JSONObject
import java.io.IOException

/**
 * A screen that comes with the app.
 *
 * @property image its asset.
 * @property kind what it shows.
 * @property text what is being typed on it.
 * @property user who types, [64].
 */
class Sample(val id: String, val image: String, val kind: String, val text: String, val user: FloatArray)

/**
 * What `make android` lays into the assets beside the bundle.
 *
 * @property preset name of the bundle's folder.
 * @property samples the screens to choose from.
 */
class DemoContent private constructor(private val assets: AssetManager, val preset: String, val samples: List<Sample>) {
    /** Decodes a sample's screenshot at 1 / [reduction] of its size. */
    fun load(sample: Sample, reduction: Int = 1): Bitmap {
        val options = BitmapFactory.Options().apply { inSampleSize = reduction }
        return assets.open(sample.image).use { BitmapFactory.decodeStream(it, null, options) }
            ?: throw BundleException("assets/${sample.image} is damaged: run `make android` and build the app again")
    }

    companion object {
        private const val FILE = "demo.json"

        /** @throws BundleException they are not there. */
        fun read(assets: AssetManager): DemoContent = try {
            val json = JSONObject(assets.open(FILE).use { it.readBytes() }.toString(Charsets.UTF_8))
            val samples = json.getJSONArray("samples")
            DemoContent(assets, json.getString("preset"), List(samples.length()) { sample(samples.getJSONObject(it)) })
        } catch (error: IOException) {
            throw BundleException("assets/$FILE is not in the app: run `make android` and build the app again", error)
        } catch (error: JSONException) {
            throw BundleException("assets/$FILE: ${error.message}; run `make android` and build the app again", error)
        }

        private fun sample(json: JSONObject): Sample {
            val user = json.getJSONArray("user")
            return Sample(
                json.getString("id"), json.getString("image"), json.getString("kind"), json.getString("text"),
                FloatArray(user.length()) { user.getDouble(it).toFloat() },
            )
        }
    }
}
